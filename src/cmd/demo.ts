/**
 * What `npm start` puts into a fresh state folder: a sample repository, a key, and settings that name the person at the
 * keyboard. All of it is made once and then left as it is.
 *
 * Called by `start.ts`.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { Fault } from "../base/fault.ts";
import { ownKeys } from "./own-keys.ts";
import type { StateFolder } from "./state-folder.ts";

export interface Demo {
  readonly folder: string;
  readonly settingsFile: string;
  /** The sample as a bare repository. */
  readonly repository: string;
  /** A private key without a passphrase; its public key is beside it. */
  readonly identityFile: string;
  /** Whether the person has a key of their own that gets in. */
  readonly hasOwnKey: boolean;
}

/** Makes whatever of the sample is not there yet. */
export function prepareDemo(
  state: StateFolder,
  examples: string,
  environment: Readonly<Record<string, string | undefined>>,
): Demo {
  const userName = readUserName();
  const folder = join(state.path, "demo");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const identityFile = join(folder, "id_ed25519");
  makeKey(identityFile);
  const repository = join(folder, "hello.git");
  makeRepository(repository, join(examples, "hello"));
  const own = ownKeys(environment);
  const settingsFile = join(state.path, "slipway.yaml");
  if (!existsSync(settingsFile)) {
    const lines = own.map(({ type, blob, comment }) => `${type} ${blob} ${comment}`.trim());
    const keys = [readFileSync(`${identityFile}.pub`, "utf8").trim(), ...lines];
    writeFileSync(settingsFile, settingsText(personName(userName), keys));
  }
  const written = readFileSync(settingsFile, "utf8");
  const hasOwnKey = own.some(({ blob }) => written.includes(blob));
  return { folder, settingsFile, repository, identityFile, hasOwnKey };
}

function makeKey(path: string): void {
  if (!existsSync(path)) {
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "slipway-demo", "-f", path]);
  } else if (!existsSync(`${path}.pub`)) {
    writeFileSync(`${path}.pub`, execFileSync("ssh-keygen", ["-y", "-f", path]));
  }
}

/** Commits the sample to a bare repository; whole or not at all. */
function makeRepository(path: string, example: string): void {
  if (existsSync(path)) return;
  const work = mkdtempSync(`${path}.new-`);
  const git = (...args: string[]): void => {
    const author = [
      "-c",
      "user.name=Slipway",
      "-c",
      "user.email=hello@slipway.invalid",
      "-c",
      "init.defaultBranch=main",
    ];
    execFileSync("git", [...author, "-C", work, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  };
  cpSync(example, work, { recursive: true });
  git("init", "--quiet");
  git("add", "--all");
  git("commit", "--quiet", "--message", "A page and the service that shows it");
  git("branch", "feature/greeting");
  execFileSync("git", ["clone", "--quiet", "--bare", work, `${work}.git`], { stdio: ["ignore", "ignore", "inherit"] });
  renameSync(`${work}.git`, path);
  rmSync(work, { recursive: true });
}

/** @throws {Fault} `runtime.unable` for a user number without an account, which OpenSSH's programs do not work for */
function readUserName(): string {
  try {
    return userInfo().username;
  } catch (cause) {
    const told = `user number ${process.getuid?.()} has no account on this machine, which ssh and ssh-keygen need`;
    throw new Fault("runtime.unable", `Cannot prepare the sample: ${told}`, { told, cause });
  }
}

/** Makes a name that the settings take of the name of a user. */
export function personName(userName: string): string {
  const name = userName
    .toLowerCase()
    .replace(/[^a-z0-9._-]/g, "-")
    .replace(/\.{2,}/g, ".")
    .replace(/^[^a-z0-9]+/, "");
  return name.slice(0, 64) || "you";
}

/** Writes the settings of the first start. Names are quoted: YAML takes `1000` and `null` for no text. */
export function settingsText(name: string, keys: readonly string[]): string {
  const quoted = JSON.stringify(name);
  return [
    "# Written by the first start; yours to change. Every setting: docs/settings.md",
    "version: 1",
    "people:",
    `  ${quoted}:`,
    "    admin: true",
    "    keys:",
    ...keys.map((key) => `      - ${JSON.stringify(key)}`),
    "repositories:",
    "  hello: { url: ./demo/hello.git }",
    "grants:",
    `  - { people: [${quoted}], repositories: "*" }`,
    "",
  ].join("\n");
}
