/**
 * What the commands of `slip` ask a running service over its control socket, and what they print with `--json`. Fields
 * are only ever added. Times are ISO 8601 in UTC.
 *
 * @module
 */
import { z } from "zod";
import { GarbageReport } from "./garbage.ts";
import { PoolExplanation, PoolRow } from "./lobby.ts";

/** What opens a repository to somebody: a grant of the settings, or their role at the forge. */
const Route = z.enum(["grant", "forge"]);

const Person = z.strictObject({
  /** The name in the settings, or the number at a forge: `github.583231`. */
  id: z.string(),
  /** The name in the settings, or the login at the forge. */
  login: z.string(),
});

const Repository = z.strictObject({
  /** The name in the settings, or the number at a forge: `github.1296269`. */
  id: z.string(),
  /** `owner/name` at a forge. */
  name: z.string(),
});

/** Whether somebody may use a repository, and why. */
export const AccessExplanation = z.strictObject({
  person: Person,
  repository: Repository,
  allowed: z.boolean(),
  route: Route,
  role: z.enum(["none", "read", "write", "admin"]).optional(),
  /** When the oldest of what this rests on was verified; absent where the settings say it, or nobody ever did. */
  verifiedAt: z.iso.datetime().optional(),
  /** The forge could not be asked, so this is its last good answer. */
  isStale: z.boolean(),
  /** Requests whose answers this rests on, or the place in the settings. */
  sources: z.array(z.string()),
  /** Why not. */
  told: z.string().optional(),
  /** What keeps keys of theirs from working, for the operator alone. */
  notes: z.array(z.string()),
});

/** Somebody who may use a repository. */
export const AccessRow = z.strictObject({
  person: z.string(),
  login: z.string(),
  repository: z.string(),
  route: Route,
  role: z.enum(["read", "write", "admin"]).optional(),
  keyCount: z.int(),
  verifiedAt: z.iso.datetime().optional(),
  isStale: z.boolean(),
});

/** What a stock OpenSSH server is to let in as a Unix user. */
export const AuthorizedKeysAnswer = z.strictObject({
  user: z.string(),
  repository: z.string(),
  verifiedAt: z.iso.datetime().optional(),
  isStale: z.boolean(),
  keys: z.array(z.strictObject({ person: z.string(), login: z.string(), type: z.string(), key: z.string() })),
  /** Lines of an authorized_keys file, without newlines. */
  lines: z.array(z.string()),
  /** The same for a file that may outlive the service: each key is taken only as long as this would hold without it. */
  fileLines: z.array(z.string()),
  /** The first time at which one of those is not taken any more. */
  expiresAt: z.iso.datetime().optional(),
});

export type AccessExplanation = Readonly<z.infer<typeof AccessExplanation>>;
export type AccessRow = Readonly<z.infer<typeof AccessRow>>;
export type AuthorizedKeysAnswer = Readonly<z.infer<typeof AuthorizedKeysAnswer>>;

/** What checks that something is of a shape. */
export interface Shape<T> {
  safeParse(
    value: unknown,
  ): { readonly success: true; readonly data: T } | { readonly success: false; readonly error: Error };
}

/** What can be asked, by the path of the request: the shape of what is sent and of what comes back. */
export const controlRequests = {
  "/access/explain": {
    asked: z.strictObject({ person: z.string(), repository: z.string() }),
    answer: AccessExplanation,
  },
  "/access/list": {
    asked: z.strictObject({ person: z.string().optional(), repository: z.string().optional() }),
    answer: z.array(AccessRow),
  },
  "/pools/list": { asked: z.strictObject({}), answer: z.array(PoolRow) },
  "/pools/explain": { asked: z.strictObject({ name: z.string() }), answer: PoolExplanation },
  "/garbage/sweep": { asked: z.strictObject({ isDry: z.boolean() }), answer: GarbageReport },
  "/authorized-keys": { asked: z.strictObject({ user: z.string() }), answer: AuthorizedKeysAnswer },
} as const;

export type ControlPath = keyof typeof controlRequests;
export type Asked<Path extends ControlPath> = z.infer<(typeof controlRequests)[Path]["asked"]>;
export type ControlAnswer<Path extends ControlPath> = z.infer<(typeof controlRequests)[Path]["answer"]>;

/** How a refusal comes back. */
export const ControlRefusal = z.strictObject({ code: z.string(), message: z.string(), told: z.string() });
