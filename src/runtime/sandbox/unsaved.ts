/**
 * Finds the work in a checkout that no forge has: changed files, commits on no remote branch, stashes.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import type { Unsaved } from "../runtime.ts";

/** How many of each are named. */
const NAMED = 20;

/** Parts the answers of one shell line; no file name and no subject can hold a NUL. */
const PART = "\0\0PART\0\0";

/**
 * Line for a shell inside. `--no-optional-locks`: looking must not get in the way of a person's own git. A stash counts
 * as a commit that nobody else has.
 */
export const LOOK = [
  "export GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0 LC_ALL=C",
  "git status --porcelain=v1 -z --untracked-files=normal --ignore-submodules=none || exit 1",
  "printf '\\0\\0PART\\0\\0'",
  "head=$(git rev-parse -q --verify HEAD) || head=", // none in a repository without a commit
  "git log -z --format=tformat:%S%x09%s --branches $head --not --remotes -- || exit 1",
  "printf '\\0\\0PART\\0\\0'",
  "git log -z -g --format=tformat:stash%x09%gs refs/stash -- 2>/dev/null || :",
].join("\n");

/**
 * Reads what that line said.
 *
 * @throws {Fault} `runtime.failed` when git could not say
 */
export function readUnsaved(said: { exitCode: number; stdout: string; stderr: string }): Unsaved {
  const [status, commits, stashes] = said.stdout.split(PART);
  if (said.exitCode !== 0 || status === undefined || commits === undefined || stashes === undefined) {
    throw new Fault(
      "runtime.failed",
      `Cannot look for unsaved work: git ended with ${said.exitCode}, ${said.stderr.trim()}`,
    );
  }
  const paths = readPaths(status);
  const lines = [...records(commits), ...records(stashes)].map(readCommit);
  return {
    changedPaths: paths.slice(0, NAMED),
    changedCount: paths.length,
    commits: lines.slice(0, NAMED),
    commitCount: lines.length,
  };
}

function records(text: string): string[] {
  return text.split("\0").filter((record) => record.trim() !== "");
}

/** git-status(1), "Porcelain Format Version 1" with -z: a renamed file is followed by its old name. */
function readPaths(status: string): string[] {
  const paths: string[] = [];
  const entries = status.split("\0");
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
  const branch = /^[0-9a-f]{40,64}$/.test(name) ? "HEAD" : name.replace(/^refs\/heads\//, "");
  return `${branch}: ${subject.join("\t")}`;
}
