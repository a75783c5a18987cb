/**
 * What may stand in `slipway.yaml`, value by value. What parts of it must have to do with each other is
 * `settings-links.ts`.
 *
 * @module
 */
import { z } from "zod";
import { addressRange, listenAddress } from "./addresses.ts";
import { hasPrivateKey, readAuthorizedKey } from "./authorized-keys.ts";
import { duration, processorCount, size, wholeNumber } from "./quantities.ts";
import { authorizedKeys, database } from "./settings-beside.ts";
import { cluster } from "./settings-clusters.ts";
import { forge } from "./settings-forges.ts";
import { checkLinks } from "./settings-links.ts";
import { pool } from "./settings-pools.ts";
import { line, some } from "./settings-words.ts";

/** What git writes around a name or address cannot be in it: git-commit-tree(1), COMMIT INFORMATION. */
const author = line.refine((text) => !/[<>]/.test(text), { error: 'cannot have "<" or ">"' });

const key = z.string().transform((text, context) => {
  const read = readAuthorizedKey(text);
  if (!("wrong" in read)) return read;
  context.addIssue({ code: "custom", message: read.wrong, input: text });
  return z.NEVER;
});

const PRIVATE_KEY = "has a PRIVATE key in it: take it out of here, count it as stolen and make a new one";

const person = z.strictObject({
  fullName: author.optional(),
  email: author.optional(),
  admin: z.boolean().default(false),
  keys: z
    .array(key, {
      error: ({ input }) => (typeof input === "string" && hasPrivateKey(input) ? PRIVATE_KEY : undefined),
    })
    .optional(),
  keysFile: line.optional(),
  account: z.string().optional(),
});

/** `ext::` and its like would have git run a program, a leading "-" would be an option: gitremote-helpers(7), git(1). */
const url = line.refine((text) => !/^-|^\w+::/.test(text) && !/^(?!(https|ssh|file):)[\w+.-]+:\/\//i.test(text), {
  error: "needs a path, user@host:path, or a URL by https, ssh or file",
});

const repository = z.strictObject({
  url,
  owner: z
    .string()
    .refine((owner) => /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(owner), {
      error: 'needs letters, digits, ".", "_" and "-", a letter or digit first',
    })
    .optional(),
});

const MEMORY_BYTES_MIN = 32 * 2 ** 20;

const limits = z.strictObject({
  environmentsPerPerson: wholeNumber(1, 100_000).default(20),
  sessionsPerPerson: wholeNumber(1, 100_000).default(50),
  environment: z
    .strictObject({
      // Below this a shell with git does not start (guess).
      memory: size(MEMORY_BYTES_MIN)
        .nullable()
        .default(4 * 2 ** 30),
      processes: wholeNumber(16, 4_194_304).nullable().default(1_024),
      cpus: processorCount().nullable().default(2),
      disk: size(2 ** 20)
        .nullable()
        .default(10 * 2 ** 30),
    })
    .prefault({}),
  loginGrace: duration("1s", "1h").default(30_000),
  keysPerConnection: wholeNumber(1, 1_000).default(20),
  unauthenticated: z
    .strictObject({ total: wholeNumber(1, 1_000_000).default(256), perAddress: wholeNumber(1, 1_000_000).default(32) })
    .prefault({}),
});

const sandbox = z.strictObject({
  root: line.refine((path) => path.startsWith("/"), { error: "needs an absolute path" }).default("/"),
  // Numbers below belong to people and services of the machine: login.defs(5), UID_MIN.
  firstUid: wholeNumber(1_000, 4_294_000_000).default(200_000),
  uidCount: wholeNumber(1, 900_000).default(10_000),
  network: z.enum(["auto", "nat", "loopback"]).default("auto"),
});

/** The whole file. Absent parts come out as their defaults, sizes in bytes and durations in milliseconds. */
export const settingsFile = z
  .strictObject({
    version: z.literal(1),
    listen: z
      .strictObject({
        ssh: z.array(listenAddress).min(1, "needs at least one address").prefault(["127.0.0.1:2222", "[::1]:2222"]),
        http: listenAddress.nullable().prefault("127.0.0.1:9222"),
        proxyProtocolFrom: z.array(addressRange).default([]),
        webhooks: listenAddress.nullable().default(null),
      })
      .prefault({}),
    // That somebody is served by these or by forges is seen to by checkLinks.
    people: z.record(z.string(), person).optional(),
    forges: z.record(z.string(), forge).default({}),
    repositories: z.record(z.string(), repository).default({}),
    grants: z.array(z.strictObject({ people: some, repositories: some })).default([]),
    limits: limits.prefault({}),
    sandbox: sandbox.prefault({}),
    clusters: z.record(z.string(), cluster).default({}),
    pools: z.record(z.string(), pool).default({}),
    database: database.optional(),
    authorizedKeys: authorizedKeys.optional(),
  })
  // Also of a file with other complaints, so that nobody has to come back for these.
  .superRefine(checkLinks, { when: () => true });

export type SettingsFile = z.infer<typeof settingsFile>;
export type EnvironmentLimitsFile = SettingsFile["limits"]["environment"];
