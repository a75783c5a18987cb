/**
 * Single values that several parts of `slipway.yaml` take, as schemas.
 *
 * @module
 */
import { z } from "zod";
import { hasPrivateKey } from "./authorized-keys.ts";
import type { SecretSource } from "./forge-settings.ts";

/** One line without control characters, at most 200 of them. */
export const line = z.string().refine((text) => /^[^\p{C}]{1,200}$/u.test(text) && text.trim() === text, {
  error: "needs 1 to 200 characters on one line",
});

/** Names of people or repositories, or all of them. */
export const some = z.union([z.literal("*"), z.array(z.string())], { error: 'needs a list of names, or "*" for all' });

/** What tokens of forges begin with; Gitea's are 40 hex digits: routers of `docs.github.com`, `docs.gitlab.com`. */
const TOKEN = /^(gh[pousr]_|github_pat_|gl[a-z]{2,5}-|[0-9a-f]{40}$)/;

/** Path of a file with a secret. */
export const secretFile = line.refine((text) => !isSecret(text), {
  error: "has a secret itself, needs the path of a file with it: count it as stolen and make a new one",
});

/** Name of an environment variable with a secret. */
export const secretEnv = line
  .refine((text) => !isSecret(text), {
    error: "has a secret itself, needs the name of a variable with it: count it as stolen and make a new one",
  })
  .refine((text) => isSecret(text) || /^[A-Za-z_][A-Za-z0-9_]*$/.test(text), {
    error: "needs the name of an environment variable",
  });

function isSecret(text: string): boolean {
  return TOKEN.test(text) || hasPrivateKey(text) || /^[a-z]+:\/\//.test(text);
}

/** Refuses a key under which a secret would stand in the file; repeats nothing of it. */
export function noSecret(what: string, ...keys: [string, string]): z.ZodOptional<z.ZodNever> {
  const error = `${what} does not belong in this file: put it into a file (${keys[0]}) or a variable (${keys[1]}), count this one as stolen and make a new one`;
  return z.never({ error }).optional();
}

/** Where a secret is read from, once it was seen to that just one is said. */
export function sourceOf(file: string | undefined, env: string | undefined): SecretSource | undefined {
  if (file !== undefined) return { file };
  return env === undefined ? undefined : { env };
}
