/**
 * The answers of Gitea and Forgejo that their server of tests gives, as the published descriptions have them: every
 * answer is held against these before it is sent. Written down from the definitions of templates/swagger/v1_json.tmpl in
 * go-gitea/gitea (1.23), in our words. The description makes everything optional; required here is what the code that
 * writes it always sends (services/convert, modules/structs).
 *
 * @module
 */
import { z } from "zod";

const Time = z.iso.datetime({ offset: true });
const Mode = z.enum(["none", "read", "write", "admin", "owner"]);

export const User = z.strictObject({
  id: z.int().positive(),
  login: z.string().min(1),
  login_name: z.string(),
  source_id: z.int(),
  full_name: z.string(),
  email: z.string(),
  avatar_url: z.url(),
  html_url: z.url(),
  language: z.string(),
  is_admin: z.boolean(),
  last_login: Time,
  created: Time,
  restricted: z.boolean(),
  active: z.boolean(),
  prohibit_login: z.boolean(),
  location: z.string(),
  website: z.string(),
  description: z.string(),
  visibility: z.enum(["public", "limited", "private"]),
  followers_count: z.int(),
  following_count: z.int(),
  starred_repos_count: z.int(),
});

export const SearchResults = z.strictObject({ ok: z.literal(true), data: z.array(User) });

export const Repository = z.strictObject({
  id: z.int().positive(),
  owner: User,
  name: z.string().min(1),
  full_name: z.string(),
  description: z.string(),
  empty: z.boolean(),
  private: z.boolean(),
  fork: z.boolean(),
  html_url: z.url(),
  url: z.url(),
  ssh_url: z.string(),
  clone_url: z.url(),
  default_branch: z.string(),
  archived: z.boolean(),
  created_at: Time,
  updated_at: Time,
  permissions: z.strictObject({ admin: z.boolean(), push: z.boolean(), pull: z.boolean() }),
  internal: z.boolean(),
});

export const Organization = z.strictObject({
  id: z.int().positive(),
  name: z.string(),
  username: z.string(),
  full_name: z.string(),
  email: z.string(),
  avatar_url: z.url(),
  description: z.string(),
  website: z.string(),
  location: z.string(),
  visibility: z.enum(["public", "limited", "private"]),
  repo_admin_change_team_access: z.boolean(),
});

export const Team = z.strictObject({
  id: z.int().positive(),
  name: z.string(),
  description: z.string(),
  organization: Organization.nullable(),
  includes_all_repositories: z.boolean(),
  permission: Mode,
  units: z.array(z.string()),
  units_map: z.record(z.string(), Mode),
  can_create_org_repo: z.boolean(),
});

export const PublicKey = z.strictObject({
  id: z.int().positive(),
  key: z.string().min(1),
  url: z.url(),
  title: z.string(),
  fingerprint: z.string(),
  created_at: Time,
  /** Told to site administrators and to the account itself. */
  user: User.optional(),
  read_only: z.boolean().optional(),
  key_type: z.enum(["user", "deploy", "unknown"]).optional(),
});

export const RepoCollaboratorPermission = z.strictObject({ permission: Mode, role_name: z.string(), user: User });

export const ErrorBody = z.strictObject({ message: z.string(), url: z.string() });

/** modules/structs/hook.go, `RepositoryPayload`. */
export const RepositoryPayload = z.strictObject({
  action: z.enum(["created", "deleted"]),
  repository: Repository,
  organization: User,
  sender: User,
});
