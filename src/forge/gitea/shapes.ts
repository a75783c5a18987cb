/**
 * What is read of the answers of Gitea and Forgejo, by the descriptions that both publish (templates/swagger/v1_json.tmpl
 * in go-gitea/gitea). Whatever else an answer has is not kept. The descriptions call everything optional; what is not
 * optional here is what nothing could be done without.
 *
 * @module
 */
import { z } from "zod";

export const Account = z.object({
  id: z.int().positive(),
  login: z.string().min(1),
  full_name: z.string().optional(),
  email: z.string().optional(),
  /** True only where it is so and the asker is a site administrator; false says nothing by itself. */
  active: z.boolean().optional(),
  prohibit_login: z.boolean().optional(),
  is_admin: z.boolean().optional(),
});
export type Account = z.infer<typeof Account>;

export const Found = z.object({ data: z.array(Account) });

export const Repository = z.object({
  id: z.int().positive(),
  name: z.string().min(1),
  owner: z.object({ id: z.int().positive(), login: z.string().min(1) }),
  private: z.boolean(),
  archived: z.boolean(),
  /** What the token's own account may do. */
  permissions: z.object({ admin: z.boolean() }).optional(),
});
export type Repository = z.infer<typeof Repository>;

export const Organization = z.object({ id: z.int().positive() });

export const Team = z.object({
  id: z.int().positive(),
  /** `none` where it differs from unit to unit. */
  permission: z.string(),
  /** By unit: `{ "repo.code": "write" }`. */
  units_map: z.record(z.string(), z.string()).nullish(),
});
export type Team = z.infer<typeof Team>;

export const Permission = z.object({ permission: z.string(), user: Account.nullish() });

export const PublicKey = z.object({
  key: z.string(),
  /** These three are told to site administrators alone. */
  key_type: z.string().optional(),
  read_only: z.boolean().optional(),
  user: z.object({ id: z.int() }).nullish(),
});
export type PublicKey = z.infer<typeof PublicKey>;
