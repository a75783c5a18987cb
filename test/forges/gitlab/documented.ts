/**
 * The answers of GitLab that its server of tests gives, as GitLab's documentation has them: every answer is held against
 * these before it is sent. Written down from doc/api/{projects,project_members,users,user_keys,groups,
 * personal_access_tokens}.md and lib/api/entities/{member,ssh_key,user_basic}.rb of gitlab-org/gitlab, in our words;
 * attributes that are there for some tiers or some askers only are optional.
 *
 * @module
 */
import { z } from "zod";

const Time = z.iso.datetime();
const Day = z.iso.date();

const UserBasic = z.strictObject({
  id: z.int().positive(),
  username: z.string().min(1),
  name: z.string(),
  state: z.enum(["active", "blocked", "ldap_blocked", "blocked_pending_approval", "deactivated", "banned"]),
  locked: z.boolean(),
  avatar_url: z.url().nullable(),
  web_url: z.url(),
});

export const User = UserBasic.extend({
  created_at: Time,
  bio: z.string(),
  location: z.string().nullable(),
  public_email: z.string().nullable(),
  bot: z.boolean(),
  /** Told to administrators. */
  email: z.string().optional(),
  commit_email: z.string().optional(),
  is_admin: z.boolean().optional(),
});

export const Member = UserBasic.extend({
  access_level: z.union([0, 5, 10, 15, 20, 30, 40, 50].map((level) => z.literal(level))),
  created_at: Time,
  expires_at: Day.nullable(),
  membership_state: z.enum(["active", "awaiting"]).optional(),
  member_role: z.strictObject({ id: z.int(), name: z.string(), read_code: z.boolean() }).nullable().optional(),
});

export const SshKey = z.strictObject({
  id: z.int().positive(),
  title: z.string(),
  key: z.string().regex(/^[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?$/),
  created_at: Time,
  expires_at: Time.nullable(),
  usage_type: z.enum(["auth", "signing", "auth_and_signing"]),
});

export const Project = z.strictObject({
  id: z.int().positive(),
  name: z.string(),
  name_with_namespace: z.string(),
  path: z.string(),
  path_with_namespace: z.string(),
  description: z.string().nullable(),
  default_branch: z.string(),
  visibility: z.enum(["public", "internal", "private"]),
  archived: z.boolean(),
  marked_for_deletion_on: Day.nullable(),
  created_at: Time,
  ssh_url_to_repo: z.string(),
  http_url_to_repo: z.url(),
  web_url: z.url(),
  namespace: z.strictObject({
    id: z.int().positive(),
    name: z.string(),
    path: z.string(),
    kind: z.enum(["group", "user"]),
    full_path: z.string(),
    parent_id: z.int().nullable(),
  }),
});

export const Group = z.strictObject({
  id: z.int().positive(),
  name: z.string(),
  path: z.string(),
  full_path: z.string(),
  visibility: z.enum(["public", "internal", "private"]),
  parent_id: z.int().nullable(),
  web_url: z.url(),
});

export const PersonalAccessToken = z.strictObject({
  id: z.int().positive(),
  name: z.string(),
  revoked: z.boolean(),
  active: z.boolean(),
  created_at: Time,
  scopes: z.array(z.string()),
  user_id: z.int().positive(),
  last_used_at: Time.nullable(),
  expires_at: Day.nullable(),
});

/** doc/api/rest/troubleshooting.md and the OAuth errors of doc/api/rest/authentication.md. */
export const ErrorBody = z.union([
  z.strictObject({ message: z.string() }),
  z.strictObject({ error: z.string(), error_description: z.string(), scope: z.string().optional() }),
]);

const Hook = { created_at: z.string(), updated_at: z.string(), event_name: z.string() };
const OfUser = { user_id: z.int(), user_username: z.string(), user_name: z.string(), user_email: z.string() };

/** doc/administration/system_hooks.md, by `event_name`. */
export const HOOKS = {
  user_team: z.strictObject({
    ...Hook,
    ...OfUser,
    access_level: z.string(),
    project_id: z.int(),
    project_name: z.string(),
    project_path: z.string(),
    project_path_with_namespace: z.string(),
    project_visibility: z.string(),
  }),
  user_group: z.strictObject({
    ...Hook,
    ...OfUser,
    group_access: z.string(),
    group_id: z.int(),
    group_name: z.string(),
    group_path: z.string(),
  }),
  user: z.strictObject({
    ...Hook,
    name: z.string(),
    email: z.string(),
    username: z.string(),
    user_id: z.int(),
    old_username: z.string().optional(),
    state: z.string().optional(),
  }),
  key: z.strictObject({ ...Hook, username: z.string(), key: z.string(), id: z.int() }),
  project: z.strictObject({
    ...Hook,
    name: z.string(),
    path: z.string(),
    path_with_namespace: z.string(),
    project_id: z.int(),
    project_namespace_id: z.int(),
    owners: z.array(z.strictObject({ name: z.string(), email: z.string() })),
    owner_name: z.string().optional(),
    owner_email: z.string().optional(),
    project_visibility: z.string(),
    old_path_with_namespace: z.string().optional(),
  }),
  group: z.strictObject({
    ...Hook,
    name: z.string(),
    path: z.string(),
    group_id: z.int(),
    full_path: z.string().optional(),
    old_path: z.string().optional(),
    old_full_path: z.string().optional(),
  }),
} as const;
