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
  /** Absent where everything is on one machine. */
  cluster: z.string().optional(),
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
      /** Absent when the forge told of the account no more than its name. */
      stateVerifiedAt: z.iso.datetime().optional(),
      keysVerifiedAt: z.iso.datetime().optional(),
    })
    .optional(),
  /** What they may use by what is known: by a role at the forge, and since when that is known; or by a grant of the settings. */
  repositories: z.array(
    z.strictObject({
      repository: z.string(),
      role: z.enum(["read", "write", "admin"]).optional(),
      verifiedAt: z.iso.datetime().optional(),
    }),
  ),
});

/** A pool as `pool ls` lists it. */
export const PoolRow = z.strictObject({
  name: z.string(),
  repository: z.string(),
  /** Absent where members may be on any. */
  cluster: z.string().optional(),
  /** Members to be ready now, by size and schedule. */
  wanted: z.int(),
  ready: z.int(),
  filling: z.int(),
  failed: z.int(),
  /** Of claims in the last 24 hours, how many got a member: 0 to 1. Absent when there were none. */
  hitRatio: z.number().optional(),
  pausedBecause: z.string().optional(),
});

const ClaimCounts = z.strictObject({ hits: z.int(), misses: z.int(), hitRatio: z.number().optional() });

/** A pool as `pool explain` tells of it. */
export const PoolExplanation = z.strictObject({
  ...PoolRow.shape,
  /** Short for `madeFrom`; absent while nobody can say what members are made from. */
  version: z.string().optional(),
  madeFrom: z.string().optional(),
  image: z.string().optional(),
  /** Why nothing is made though something is missing. */
  waitingBecause: z.string().optional(),
  pausedUntil: z.iso.datetime().optional(),
  /** Kept to be looked at. */
  failedMember: z.strictObject({ id: z.string(), cluster: z.string(), reason: z.string() }).optional(),
  /** Since the service began. */
  sinceStart: ClaimCounts,
  lastDay: ClaimCounts,
  /** Of the last 24 hours, by why. */
  missesBecause: z.record(z.string(), z.int()),
  /** Half of the members took no longer to be made, in milliseconds. */
  refillP50Ms: z.int().optional(),
  /** What waiting members cost in the last 30 days, and cost now, at OpenCost's default rates. */
  idleUsd: z.number(),
  idleUsdPerHour: z.number(),
  members: z.array(
    z.strictObject({
      id: z.string(),
      cluster: z.string(),
      state: z.enum(["filling", "ready", "claimed", "failed", "leaving"]),
      createdAt: z.iso.datetime(),
      reason: z.string().optional(),
    }),
  ),
});

export type PoolRow = Readonly<z.infer<typeof PoolRow>>;
export type PoolExplanation = Readonly<z.infer<typeof PoolExplanation>>;
export type WhoRow = Readonly<z.infer<typeof WhoRow>>;
export type EnvironmentRow = Readonly<z.infer<typeof EnvironmentRow>>;
export type SessionRow = Readonly<z.infer<typeof SessionRow>>;
