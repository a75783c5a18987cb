/**
 * What `npm start` puts into a fresh state folder: a sample repository, a key, and settings that name the person at the
 * keyboard. All of it is made once and then left as it is.
 *
 * Called by `start.ts`.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import type { StateFolder } from "./state-folder.ts";

export interface Demo {
  readonly folder: string;
  readonly settingsFile: string;
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
  const folder = join(state.path, "demo");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const identityFile = join(folder, "id_ed25519");
  if (!existsSync(identityFile)) {
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "slipway-demo", "-f", identityFile]);
  }
  makeRepository(join(folder, "hello.git"), join(examples, "hello"));
  const own = ownKeys(environment);
  const settingsFile = join(state.path, "slipway.yaml");
  if (!existsSync(settingsFile)) {
    const keys = [readFileSync(`${identityFile}.pub`, "utf8").trim(), ...own];
    writeFileSync(settingsFile, settingsText(keys));
  }
  const written = readFileSync(settingsFile, "utf8");
  const hasOwnKey = own.some((line) => written.includes(line.split(" ")[1] ?? line));
  return { folder, settingsFile, identityFile, hasOwnKey };
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

/** Public keys that the person's own `ssh` would offer: the agent's and those in `~/.ssh`. */
function ownKeys(environment: Readonly<Record<string, string | undefined>>): string[] {
  const folder = join(homedir(), ".ssh");
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => /^id_.*\.pub$/.test(name)) : [];
  const lines = files.map((name) => readFileSync(join(folder, name), "utf8").trim());
  const taken =
    /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com) /;
  return [...new Set([...lines, ...agentKeys(environment)])].filter((line) => taken.test(line));
}

function agentKeys(environment: Readonly<Record<string, string | undefined>>): string[] {
  if (environment["SSH_AUTH_SOCK"] === undefined) return [];
  try {
    return execFileSync("ssh-add", ["-L"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 5_000 })
      .trim()
      .split("\n");
  } catch {
    return []; // no agent answers, or it has no keys
  }
}

function settingsText(keys: readonly string[]): string {
  const name =
    userInfo()
      .username.toLowerCase()
      .replace(/[^a-z0-9._-]/g, "-")
      .replace(/^[^a-z0-9]+/, "") || "you";
  return [
    "# Written by the first start; yours to change. Every setting: docs/settings.md",
    "version: 1",
    "people:",
    `  ${name}:`,
    "    admin: true",
    "    keys:",
    ...keys.map((key) => `      - ${JSON.stringify(key)}`),
    "repositories:",
    "  hello: { url: ./demo/hello.git }",
    "grants:",
    `  - { people: [${name}], repositories: "*" }`,
    "",
  ].join("\n");
}
