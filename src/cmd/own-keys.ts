/**
 * The public keys of the person at the keyboard: those that their own `ssh` would offer, as far as the settings take them.
 *
 * Called by `demo.ts`.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { type AuthorizedKey, readAuthorizedKeys } from "../wire/authorized-keys.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Lists the agent's keys and those in `~/.ssh`, each once. What cannot be read, and what the settings would refuse, is left
 * out: the sample works without, by a key of its own.
 */
export function ownKeys(environment: Environment): AuthorizedKey[] {
  const texts = [...keyFiles(environment), agentKeys(environment)];
  const keys = texts.flatMap((text) => readAuthorizedKeys(text, "").keys);
  return [...new Map(keys.map((key) => [key.blob, key])).values()];
}

function keyFiles(environment: Environment): string[] {
  const folder = attempt(() => join(environment["HOME"] ?? homedir(), ".ssh"));
  if (folder === undefined) return [];
  const names = attempt(() => readdirSync(folder)) ?? [];
  return names
    .filter((name) => /^id_.*\.pub$/.test(name))
    .flatMap((name) => attempt(() => readFileSync(join(folder, name), "utf8")) ?? []);
}

function agentKeys(environment: Environment): string {
  if (environment["SSH_AUTH_SOCK"] === undefined) return "";
  const ask = (): string =>
    execFileSync("ssh-add", ["-L"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 5_000,
      env: environment,
    });
  return attempt(ask) ?? ""; // no agent answers, or it has no keys
}

/** For what the machine may refuse and nobody has to mend. */
function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
