/**
 * Parts of `slipway.yaml` about what stands beside the service: a PostgreSQL that several of them share, and stock
 * OpenSSH servers that let the same people in.
 *
 * @module
 */
import { z } from "zod";
import type { SecretSource } from "./forge-settings.ts";
import { line, noSecret, secretEnv, secretFile, sourceOf } from "./settings-words.ts";

/** What a stock OpenSSH server lets in, by files or as its `AuthorizedKeysCommand`. */
export interface AuthorizedKeysSettings {
  /** Where a file a user is kept; absolute. `undefined`: none is. */
  readonly folder?: string;
  /** Run instead of what the client asks for, with `{person}`, `{login}`, `{repository}` and `{user}` in it. */
  readonly command: string;
  /** What is allowed again after `restrict`: sshd(8), AUTHORIZED_KEYS FILE FORMAT. */
  readonly allow: readonly AllowedAgain[];
  /** The repository that each Unix user stands for: a name from `repositories`, or `owner/name` at a forge. */
  readonly users: readonly { readonly user: string; readonly repository: string }[];
}

const allowedAgain = ["pty", "port-forwarding", "agent-forwarding", "X11-forwarding", "user-rc"] as const;

export type AllowedAgain = (typeof allowedAgain)[number];

const PLACEHOLDERS = ["person", "login", "repository", "user"] as const;

const command = line
  // In the file format `\"` is a quote, so that the last one would be taken for part of the command.
  .refine((text) => !text.endsWith("\\"), { error: 'cannot end in "\\"' })
  .refine((text) => !/['"]\{\w+\}|\{\w+\}['"]/.test(text), {
    error: "cannot have a placeholder in quotes: they are quoted for the shell as they are filled in",
  })
  .refine((text) => unknownPlaceholders(text).length === 0, {
    error: ({ input }) =>
      `has no meaning for ${unknownPlaceholders(String(input)).join(", ")}; placeholders are {${PLACEHOLDERS.join("}, {")}}`,
  });

function unknownPlaceholders(text: string): string[] {
  const known: readonly string[] = PLACEHOLDERS;
  return [...text.matchAll(/\{(\w+)\}/g)].filter(([, name = ""]) => !known.includes(name)).map(([whole]) => whole);
}

export const authorizedKeys = z.strictObject({
  folder: line.refine((path) => path.startsWith("/"), { error: "needs an absolute path" }).optional(),
  command,
  allow: z.array(z.enum(allowedAgain)).default(["pty"]),
  users: z.record(z.string(), z.string()),
});

export const database = z.strictObject({
  url: noSecret("a database URL", "urlFile", "urlEnv"),
  urlFile: secretFile.optional(),
  urlEnv: secretEnv.optional(),
});

/** Gives what the rest of Slipway reads. */
export function toAuthorizedKeys({ folder, users, ...rest }: z.infer<typeof authorizedKeys>): AuthorizedKeysSettings {
  const rows = Object.entries(users).map(([user, repository]) => ({ user, repository }));
  return { ...rest, users: rows, ...(folder === undefined ? {} : { folder }) };
}

/** Gives what the rest of Slipway reads: where the URL of the PostgreSQL is. */
export function toDatabase({ urlFile, urlEnv }: z.infer<typeof database>): { readonly url: SecretSource } {
  const url = sourceOf(urlFile, urlEnv);
  if (url === undefined) throw new Error("Cannot tell where the URL of the database is: checkLinks let it pass");
  return { url };
}
