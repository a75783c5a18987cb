/**
 * Finds the work in an environment that no forge has: changed files, commits on no remote branch and stashes of every
 * repository and work tree in it, and files beside them. Called by the runtimes, which run the text inside and hand over what
 * it said.
 *
 * Ignored files, and those of the home folder outside any repository, count for nothing: tools fill both on their own.
 * What cannot be looked at counts as work.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import type { Unsaved } from "./runtime.ts";
import { quoteWord } from "./shell-words.ts";

/** How many of each are named. */
const NAMED = 20;

/** How many repositories beside the checkout are looked at; guess. */
const MOST_REPOSITORIES = 50;

/** Folders deep below `/workspace` and the home; `~/go/src/example.com/owner/name/.git` is the deepest we know of. */
const DEPTH = 6;

/** Parts the answers; no file name and no subject can hold a NUL. */
const PART = "\0\0PART\0\0";

const SAY_PART = String.raw`part() { printf "\0\0PART\0\0%s\0%s\0" "$1" "$2"; }`;

/** Stands for a path where a search failed or took too long. */
const FAILED = "FAILED";

/** What differs between places. */
export interface LookFacts {
  /** Folder inside that holds the checkouts. */
  readonly workspace: string;
  /** Shell text that says the object names of tags which came from the forge, one a line; `own` is the git of a repository. */
  readonly forgeTags: string;
}

/**
 * Shell text that looks at the repository of one `.git`, its argument. The folder is given to git, which would otherwise take
 * the repository around one that is broken.
 */
const makeLookAtOne = (forgeTags: string): string =>
  [
    SAY_PART,
    `[ "$1" = ${FAILED} ] && { part doubt search; exit 0; }`,
    `folder=\${1%/.git}`,
    `own() { git --git-dir="$folder/.git" --work-tree="$folder" "$@"; }`,
    "files() {",
    '  part status "$1"',
    '  git --git-dir="$1/.git" --work-tree="$1" -C "$1" status --porcelain=v1 -z --untracked-files=normal' +
      ' --ignore-submodules=none </dev/null || part doubt "$1"',
    "}",
    'files "$folder"',
    'common=$(cd "$folder" && cd "$(own rev-parse --git-common-dir)" && pwd -P) || exit 0', // said already
    `known=$(${forgeTags})`,
    'part commits "$folder"; printf "%s\\0" "$common"',
    'printf "%s\\n" "$known" | sed -n "s/^[0-9a-f][0-9a-f]*$/^&/p" |' +
      ' own log -z --format=tformat:%S%x09%s --exclude=refs/stash --all --not --remotes --stdin || part doubt "$folder"',
    'part commits "$folder"; printf "stash %s\\0" "$common"',
    "own log -z -g --format=tformat:stash%x09%gs refs/stash -- 2>/dev/null || :",
    'own worktree list --porcelain | sed -n "s/^worktree //p" | while IFS= read -r other; do',
    '  [ "$other" = "$folder" ] || [ ! -e "$other/.git" ] || files "$other"',
    "done",
  ].join("\n");

/** What git would start for us, and must not: nobody asked for it. Set by the environment, it reaches every call. */
const QUIET = Object.entries({
  "core.fsmonitor": "false",
  "core.hooksPath": "/dev/null",
  "core.pager": "cat",
  "log.showSignature": "false",
});

/** Folders that tools fill with repositories of others. */
const CACHES = ["node_modules", ".cache", ".cargo", ".npm", ".nvm", ".rustup"].map((name) => `-name ${name}`);

/** `head -z -n`, which busybox has not. */
const headOf = (count: number): string => `tr '\\n\\000' '\\000\\n' | head -n ${count} | tr '\\n\\000' '\\000\\n'`;

/**
 * Makes the line for a shell in the checkout. `GIT_OPTIONAL_LOCKS`: looking must not get in the way of a person's own git.
 * The searches end before those who wait for all of it give up.
 */
export function makeLook({ workspace, forgeTags }: LookFacts): string {
  return [
    "export GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0 GIT_NO_LAZY_FETCH=1 LC_ALL=C",
    `export GIT_CONFIG_COUNT=${QUIET.length}`,
    ...QUIET.map(([key, value], at) => `export GIT_CONFIG_KEY_${at}=${key} GIT_CONFIG_VALUE_${at}=${value}`),
    `one=${quoteWord(makeLookAtOne(forgeTags))}`,
    SAY_PART,
    'if [ -e .git ]; then sh -c "$one" look "$PWD/.git" || exit 3; else part doubt checkout; fi',
    `{ timeout 8 find ${workspace} "$HOME" -maxdepth ${DEPTH} '(' ${CACHES.join(" -o ")} ')' -prune` +
      ` -o -path "$PWD/.git" -prune -o -name .git -prune -print0 || printf '${FAILED}\\0'; } |` +
      ` ${headOf(MOST_REPOSITORIES + 1)} | xargs -0 -r -n 1 sh -c "$one" look || exit 3`,
    "part files .",
    `{ timeout 4 find ${workspace} -type d -exec test -e '{}/.git' ';' -prune -o ! -type d -print0 ||` +
      ` part doubt search; } | ${headOf(2_000)}`,
    "part end .",
  ].join("\n");
}

/**
 * Reads what that line said.
 *
 * @throws {Fault} `runtime.failed` when it did not come to its end
 */
export function readUnsaved(said: { exitCode: number; stdout: string; stderr: string }): Unsaved {
  // The shell could not even begin: the checkout is no folder.
  if (said.exitCode === 1 && said.stdout === "" && /\bcd: /.test(said.stderr)) return summarize([], [], [NO_CHECKOUT]);
  const parts = said.stdout.split(PART).slice(1).map(readPart);
  if (said.exitCode !== 0 || parts.at(-1)?.kind !== "end") {
    const state = `git ended with ${said.exitCode}, ${said.stderr.trim()}`;
    throw new Fault("runtime.failed", `Cannot look for unsaved work: ${state}`);
  }
  // What is in the folder where the service looked first needs no more than its name.
  const checkout = parts[0]?.kind === "status" ? parts[0].folder : undefined;
  const nameFolder = (folder: string): string => (folder === checkout ? "" : folder);
  const [paths, commits, doubts, seen] = [[] as string[], [] as string[], new Set<string>(), new Set<string>()];
  for (const { kind, folder, records } of parts) {
    if (kind === "doubt") doubts.add(tellDoubt(folder));
    else if (kind === "files") paths.push(...records);
    const key = `${kind} ${kind === "commits" ? records.shift() : folder}`;
    if (seen.has(key)) continue; // a work tree is found by itself and by its repository
    seen.add(key);
    if (kind === "status") paths.push(...readPaths(records).map((path) => joinName(nameFolder(folder), "/", path)));
    if (kind === "commits") {
      commits.push(...records.map((record) => joinName(nameFolder(folder), " ", readCommit(record))));
    }
  }
  const repositories = new Set(parts.filter(({ kind }) => kind === "commits").map(({ folder }) => folder));
  if (repositories.size > MOST_REPOSITORIES) {
    doubts.add(`it has more than ${MOST_REPOSITORIES} repositories, and not all were looked at`);
  }
  return summarize(paths, commits, [...doubts]);
}

const NO_CHECKOUT = "its checkout is no git repository any more, so what of it was pushed cannot be said";

function tellDoubt(about: string): string {
  if (about === "checkout") return NO_CHECKOUT;
  if (about === "search") return "not all of its folders could be searched for repositories and files";
  return `git could not look at ${about}`;
}

function summarize(paths: readonly string[], commits: readonly string[], doubts: readonly string[]): Unsaved {
  return {
    changedPaths: paths.slice(0, NAMED),
    changedCount: paths.length,
    commits: commits.slice(0, NAMED),
    commitCount: commits.length,
    ...(doubts.length === 0 ? {} : { doubts: doubts.slice(0, NAMED) }),
  };
}

interface Part {
  readonly kind: string;
  readonly folder: string;
  readonly records: string[];
}

function readPart(text: string): Part {
  const [kind = "", folder = "", ...records] = text.split("\0");
  return { kind, folder, records: records.filter((record) => record.trim() !== "") };
}

function joinName(folder: string, by: string, name: string): string {
  return folder === "" ? name : `${folder}${by}${name}`;
}

/** git-status(1), "Porcelain Format Version 1" with -z: a renamed file is followed by its old name. */
function readPaths(entries: readonly string[]): string[] {
  const paths: string[] = [];
  for (let at = 0; at < entries.length; at++) {
    const entry = entries[at] ?? "";
    if (entry.length < 4) continue;
    paths.push(entry.slice(3));
    if (/^[RC]|^.[RC]/.test(entry)) at++;
  }
  return paths;
}

function readCommit(record: string): string {
  const [name = "", ...subject] = record.trim().split("\t");
  const branch = /^[0-9a-f]{40,64}$/.test(name) ? "HEAD" : name.replace(/^refs\/(heads|(?=tags\/))\/?/, "");
  return `${branch}: ${subject.join("\t")}`;
}
