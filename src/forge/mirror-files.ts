/**
 * One bare mirror on disk: how it is made, fetched into and read. When to do so is for `mirrors.ts`, its only user.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { access, appendFile, glob, mkdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { type GitOptions, type GitOutput, runGit } from "./git.ts";
import type { Origin } from "./origin.ts";

/** For all that happens on this machine (guess: listing a million refs takes 2 s). */
const LOCAL_TIMEOUT_MS = 60_000;
/** For a fetch into a mirror that exists; it holds up a login (guess). */
const FETCH_TIMEOUT_MS = 60_000;
/** For the first copy of a large repository (guess). */
const FIRST_FETCH_TIMEOUT_MS = 30 * 60_000;
/** Kept refs of commits that no branch leads to any more. */
const KEPT = "refs/slipway/kept/";
/** Heads and tags only: what a forge keeps for each pull request would be most of the refs. */
const REFSPECS = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];

const FETCH_OPTIONS = [
  "--no-progress",
  "--prune",
  "--no-tags",
  "--no-write-fetch-head",
  "--no-auto-gc",
  "--no-recurse-submodules",
];

const CONFIG: Readonly<Record<string, string>> = {
  // Environments borrow these objects: none may go, whoever calls `git gc` by hand.
  "gc.auto": "0",
  "gc.pruneExpire": "never",
  "maintenance.auto": "false",
  // Readable by every uid, whatever the umask of the service (git-config(1), core.sharedRepository).
  "core.sharedRepository": "0644",
};

/** The same for whoever calls git in a mirror without us. */
const CONFIG_TEXT = Object.entries(CONFIG)
  .map(([name, value]) => `[${name.replace(".", "]\n\t")} = ${value}\n`)
  .join("");

export interface MirrorFiles {
  readonly path: string;
  exists(): Promise<boolean>;
  /** Fetches what changed; makes the mirror, whole or not at all, when there is none. Not to be called while it runs. */
  fetch(): Promise<void>;
  /** Commit of each branch by its name, sorted; empty while there is no mirror. */
  branches(): Promise<ReadonlyMap<string, string>>;
  /** The branch that HEAD of the origin named when the mirror was made, or the likeliest of those there are. */
  defaultBranch(): Promise<string | undefined>;
}

export interface MirrorFilesOptions {
  readonly path: string;
  /** Where to fetch from and by what right, as it is now. */
  readonly origin: (signal: AbortSignal) => Promise<Origin>;
  readonly clock: Clock;
  readonly env?: Readonly<Record<string, string>>;
  /** Ends whatever git is doing. */
  readonly signal: AbortSignal;
}

/** Says how to use the mirror at a path; touches nothing. */
export function openMirrorFiles({ path, origin, clock, env, signal }: MirrorFilesOptions): MirrorFiles {
  const git: Git = (args, options = {}) =>
    runGit(args, { clock, timeoutMs: LOCAL_TIMEOUT_MS, ...(env === undefined ? {} : { env }), ...options }, signal);
  const fetchInto = (gitDir: string, origin: Origin, timeoutMs: number): Promise<GitOutput> => {
    const args = ["fetch", ...FETCH_OPTIONS, ...origin.fetchArguments, "--", origin.url, ...REFSPECS];
    return git([`--git-dir=${gitDir}`, ...args], { timeoutMs, config: { ...CONFIG, ...origin.config } });
  };
  let branches: Promise<ReadonlyMap<string, string>> | undefined;

  const exists = (): Promise<boolean> => isThere(join(path, "HEAD"));
  const readBranches = (): Promise<ReadonlyMap<string, string>> => {
    branches ??= listBranches(git, path);
    // One that failed is not remembered.
    branches.catch(() => (branches = undefined));
    return branches;
  };
  const make = async (): Promise<void> => {
    const part = join(dirname(path), `${basename(path)}.part-${randomBytes(6).toString("hex")}`);
    try {
      await mkdir(part, { recursive: true, mode: 0o755 });
      await git(["init", "--quiet", "--bare", "--template=", "--initial-branch=main", part], { config: CONFIG });
      await appendFile(join(part, "config"), CONFIG_TEXT);
      const from = await origin(signal);
      await fetchInto(part, from, FIRST_FETCH_TIMEOUT_MS);
      const head = await readRemoteHead(git, from);
      if (head !== undefined) await git([`--git-dir=${part}`, "symbolic-ref", "HEAD", head]);
      await rename(part, path);
    } catch (error) {
      await rm(part, { recursive: true, force: true });
      throw error;
    }
  };

  return {
    path,
    exists,
    fetch: async () => {
      if (!(await exists())) return make();
      const before = await readBranches();
      const { stderr } = await fetchInto(path, await origin(signal), FETCH_TIMEOUT_MS);
      // It writes a line for each ref that changed.
      if (stderr === "") return;
      branches = undefined;
      await keepLost(git, path, before, await readBranches());
    },
    branches: async () => ((await exists()) ? readBranches() : new Map()),
    defaultBranch: async () => {
      if (!(await exists())) return undefined;
      const there = await readBranches();
      const { stdout } = await git([`--git-dir=${path}`, "symbolic-ref", "HEAD"]);
      const head = stdout.trim().replace("refs/heads/", "");
      return [head, "main", "master", ...there.keys()].find((name) => there.has(name));
    },
  };
}

type Git = (args: readonly string[], options?: Partial<GitOptions>) => Promise<GitOutput>;

async function listBranches(git: Git, path: string): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await git([
    `--git-dir=${path}`,
    "for-each-ref",
    "--format=%(objectname) %(refname:lstrip=2)",
    "refs/heads/",
  ]);
  const lines = stdout.split("\n").filter((line) => line !== "");
  return new Map(lines.map((line) => [line.slice(line.indexOf(" ") + 1), line.slice(0, line.indexOf(" "))]));
}

/** The full name of the branch that HEAD of the origin is, from `ref: refs/heads/main\tHEAD`. */
async function readRemoteHead(git: Git, origin: Origin): Promise<string | undefined> {
  const args = ["ls-remote", "--symref", ...origin.fetchArguments, "--", origin.url, "HEAD"];
  const { stdout } = await git(args, { config: origin.config });
  return /^ref: (refs\/heads\/\S+)\tHEAD$/m.exec(stdout)?.[1];
}

/** Gives a ref to each commit that a branch left behind other than by going forward. */
async function keepLost(
  git: Git,
  path: string,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): Promise<void> {
  const changed = [...before].filter(([name, commit]) => after.get(name) !== commit);
  const left = changed.map(([, commit]) => commit);
  const now = changed.flatMap(([name]) => after.get(name) ?? []);
  if (left.length === 0) return;
  const input = [...left, ...now.map((commit) => `^${commit}`)].map((line) => `${line}\n`).join("");
  const { stdout } = await git([`--git-dir=${path}`, "rev-list", "--stdin"], { input });
  const lost = new Set(stdout.split("\n"));
  const updates = left.filter((commit) => lost.has(commit)).map((commit) => `update ${KEPT}${commit} ${commit}\n`);
  if (updates.length > 0) await git([`--git-dir=${path}`, "update-ref", "--stdin"], { input: updates.join("") });
}

/**
 * Removes what a process that was killed left in a folder of mirrors: copies never finished, lock files that would refuse
 * the next fetch, and packs half received. No git of ours runs when this is called.
 */
export async function clearLeftovers(folder: string): Promise<void> {
  const patterns = [
    "*.part-*",
    "*.git/*.lock",
    "*.git/refs/**/*.lock",
    "*.git/objects/pack/tmp_*",
    "*.git/objects/pack/.tmp-*",
    "*.git/objects/??/tmp_obj_*",
    "*.git/objects/tmp_objdir-*",
  ];
  for await (const name of glob(patterns, { cwd: folder })) {
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
