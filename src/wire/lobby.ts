/**
 * What the lobby prints with `--json`. Fields are only ever added. Times are ISO 8601 in UTC, sizes are bytes.
 *
 * @module
 */
import { z } from "zod";

export const EnvironmentRow = z.strictObject({
  login: z.string(),
  person: z.string(),
  repository: z.string(),
  branch: z.string(),
  phase: z.enum(["pending", "ready", "active", "idle", "expiring", "destroyed"]),
  power: z.enum(["running", "sleeping", "waking"]),
  sessionCount: z.int(),
  createdAt: z.iso.datetime(),
  lastActiveAt: z.iso.datetime(),
  diskBytes: z.int().optional(),
  ports: z.array(z.int()),
});

export const SessionRow = z.strictObject({
  id: z.string(),
  person: z.string(),
  login: z.string(),
  from: z.string(),
  client: z.string(),
  since: z.iso.datetime(),
  lastInputAt: z.iso.datetime(),
  bytesFromClient: z.int(),
  bytesToClient: z.int(),
  channelCount: z.int(),
});

export const WhoRow = z.strictObject({
  name: z.string(),
  id: z.string(),
  fullName: z.string(),
  email: z.string(),
  admin: z.boolean(),
  key: z.string().startsWith("SHA256:"),
  /** `settings`, or the name of a forge. */
  keyFrom: z.string(),
  account: z
    .strictObject({
      forge: z.string(),
      login: z.string(),
      state: z.enum(["active", "suspended", "gone"]),
      stateVerifiedAt: z.iso.datetime(),
      keysVerifiedAt: z.iso.datetime().optional(),
    })
    .optional(),
});

export type WhoRow = Readonly<z.infer<typeof WhoRow>>;
export type EnvironmentRow = Readonly<z.infer<typeof EnvironmentRow>>;
export type SessionRow = Readonly<z.infer<typeof SessionRow>>;
