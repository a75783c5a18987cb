/**
 * What is read of GitLab's answers, by its documentation (doc/api in gitlab-org/gitlab: projects.md, project_members.md,
 * users.md, user_keys.md, personal_access_tokens.md). Whatever else an answer has is not kept.
 *
 * @module
 */
import { z } from "zod";

export const Project = z.object({
  id: z.int(),
  path_with_namespace: z.string().regex(/^[^/]+(\/[^/]+)+$/),
  visibility: z.enum(["public", "internal", "private"]),
  archived: z.boolean(),
  /** A day. While it is there the project is read-only and about to go. */
  marked_for_deletion_on: z.string().nullish(),
});
export type Project = z.infer<typeof Project>;

export const Member = z.object({
  id: z.int(),
  username: z.string().min(1),
  /** The account's, not the membership's. */
  state: z.string(),
  /** The effective one: the highest of all routes, capped by how a group was invited. */
  access_level: z.int(),
  /** A day or a time. */
  expires_at: z.string().nullish(),
  /** `active`, or `awaiting` for somebody whom the plan has no seat for. Premium and Ultimate. */
  membership_state: z.string().nullish(),
  /** A custom role on top of the access level. Ultimate. */
  member_role: z.object({ read_code: z.boolean().nullish() }).nullish(),
});
export type Member = z.infer<typeof Member>;

export const User = z.object({
  id: z.int(),
  username: z.string().min(1),
  name: z.string(),
  /** `active`, `blocked`, `ldap_blocked`, `blocked_pending_approval`, `deactivated`, `banned`. */
  state: z.string(),
  /** For administrators alone. */
  email: z.string().nullish(),
  commit_email: z.string().nullish(),
  public_email: z.string().nullish(),
});
export type User = z.infer<typeof User>;

export const SshKey = z.object({
  key: z.string(),
  expires_at: z.string().nullish(),
  /** `auth`, `signing` or `auth_and_signing`; since 15.7. */
  usage_type: z.string().nullish(),
});
export type SshKey = z.infer<typeof SshKey>;

export const TokenOfOurs = z.object({
  scopes: z.array(z.string()),
  active: z.boolean().nullish(),
  user_id: z.int().nullish(),
  expires_at: z.string().nullish(),
});

/** The account that the token acts as; `is_admin` is told to administrators alone. */
export const Self = z.object({ id: z.int(), is_admin: z.boolean().nullish() });

/** Of what only its being there matters. */
export const Anything = z.object({ id: z.int() });
