/**
 * Reads files and folders of a repository from its mirror on this machine, for what has to be known before there is a pod.
 *
 * Called by `read-source.ts`, `starting.ts` and `cmd/clusters.ts`.
 *
 * @module
 */
import { execFile } from "node:child_process";
import type { Source } from "../runtime.ts";

/** Definitions and manifests are small; what is larger was not meant (guess). */
const FILE_BYTES = 1024 * 1024;

const READ_MS = 10_000;

/** The commit of the mirror that an environment begins at, as git names it. */
export function revisionOf({ branch, fromBranch = branch }: Pick<Source, "branch" | "fromBranch">): string {
  return `refs/heads/${fromBranch}`;
}

/**
 * Reads a file as it is in a revision; `undefined` when there is none, or it is too large. Follows no link: of one, its text
 * is what it leads to.
 */
export async function readMirrorFile(mirrorPath: string, revision: string, path: string): Promise<string | undefined> {
  return git(mirrorPath, ["cat-file", "blob", `${revision}:${path}`]);
}

/** Lists the names in a folder as it is in a revision; none when there is no such folder. */
export async function listMirrorFolder(mirrorPath: string, revision: string, path: string): Promise<readonly string[]> {
  const listed = await git(mirrorPath, ["ls-tree", "-z", "--name-only", `${revision}:${path}`]);
  return (listed ?? "").split("\0").filter((name) => name !== "");
}

/** Standard output of git in a mirror, `undefined` when it failed. */
function git(mirrorPath: string, words: readonly string[]): Promise<string | undefined> {
  const env = { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C", GIT_CONFIG_GLOBAL: "/dev/null" };
  const options = { env, timeout: READ_MS, maxBuffer: FILE_BYTES, encoding: "utf8" } as const;
  // A mirror may belong to another user than the one we run as: git would refuse it otherwise.
  const safe = ["-c", `safe.directory=${mirrorPath}`, "-C", mirrorPath];
  return new Promise((resolve) => {
    execFile("git", [...safe, ...words], options, (error, stdout) => {
      resolve(error === null ? stdout : undefined);
    });
  });
}
