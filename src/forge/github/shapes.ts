/**
 * What we read of GitHub's answers. Schemas take a subset of GitHub's own description of its API; whatever else an answer
 * has is dropped before it is kept. They convert nothing, so that what is kept can be read again.
 *
 * @module
 */
import { z } from "zod";

export const Repository = z.object({
  id: z.int(),
  name: z.string().min(1),
  owner: z.object({ login: z.string().min(1) }),
  private: z.boolean(),
  archived: z.boolean(),
  /** By GitHub, as for a breach of its terms. */
  disabled: z.boolean().optional(),
  clone_url: z.string(),
});
export type Repository = z.infer<typeof Repository>;

const Flags = z.object({
  pull: z.boolean(),
  triage: z.boolean().optional(),
  push: z.boolean(),
  maintain: z.boolean().optional(),
  admin: z.boolean(),
});

/** An entry of the list of collaborators. `permissions` is there wherever the role's name may be one of somebody's own. */
export const Collaborator = z.object({
  id: z.int(),
  login: z.string().min(1),
  role_name: z.string().optional(),
  permissions: Flags.optional(),
});

/** One account's permission. On a public repository everybody has `read`. */
export const Permission = z.object({
  permission: z.string(),
  role_name: z.string().optional(),
  user: z.object({ id: z.int(), login: z.string(), permissions: Flags.optional() }).nullable(),
});

export const Account = z.object({
  id: z.int(),
  login: z.string().min(1),
  name: z.string().nullish(),
  email: z.string().nullish(),
  /** Enterprise Server only; github.com shows no suspended account at all. */
  suspended_at: z.string().nullish(),
});

export const Key = z.object({ key: z.string() });

export const App = z.object({
  slug: z.string().optional(),
  permissions: z.record(z.string(), z.string()),
  events: z.array(z.string()),
});

export const Installation = z.object({
  id: z.int(),
  /** An enterprise has no login. */
  account: z.object({ login: z.string().optional() }).nullable(),
  permissions: z.record(z.string(), z.string()),
  suspended_at: z.string().nullish(),
});
export type Installation = z.infer<typeof Installation>;

export const InstallationToken = z.object({ token: z.string().min(1), expires_at: z.iso.datetime({ offset: true }) });

export const InstallationRepositories = z.object({ repositories: z.array(Repository) });
