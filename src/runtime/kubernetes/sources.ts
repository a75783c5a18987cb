/**
 * Reads files and folders of a repository from its mirror on this machine, for what has to be known before there is a pod.
 *
 * Called by `read-source.ts`, `starting.ts` and `cmd/clusters.ts`.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { Fault } from "../../base/fault.ts";
import type { Source } from "../runtime.ts";
import type { Revision } from "./kept.ts";

/** Definitions and manifests are small; what is larger was not meant (guess). */
const FILE_BYTES = 1024 * 1024;

const READ_MS = 10_000;

/** Where to read, and what its person should know of that. */
export interface FoundRevision extends Revision {
  readonly warnings: readonly string[];
}

/**
 * Finds where definition and manifests of an environment are read: the tip of its branch, or of the one that it starts from
 * while its own is not on the forge. A branch that was deleted, as after a merge, leaves what was read of it last.
 *
 * @param last where they were read before, if ever
 * @throws {Fault} `repository.unreached` when the mirror has none of it
 */
export async function findRevision(
  { mirrorPath, repository, branch, fromBranch }: Source,
  last: Revision | undefined,
): Promise<FoundRevision> {
  const own = await tipOf(mirrorPath, branch);
  if (own !== undefined) return { commit: own, branch, warnings: [] };
  const base = fromBranch === undefined || last?.branch === branch ? undefined : await tipOf(mirrorPath, fromBranch);
  if (base !== undefined && fromBranch !== undefined) return { commit: base, branch: fromBranch, warnings: [] };
  const kept = last === undefined ? undefined : await commitOf(mirrorPath, last.commit);
  if (last === undefined || kept === undefined) {
    const told = `the branch ${fromBranch ?? branch} of ${repository} is gone, and so is what it was when this environment last started`;
    throw new Fault("repository.unreached", `Cannot find ${branch} in ${mirrorPath}: it has no such branch`, { told });
  }
  const short = kept.slice(0, 12);
  const warning = `the branch ${last.branch} is not on the forge any more: this environment is as its commit ${short} defines it`;
  return { ...last, warnings: [warning] };
}

function tipOf(mirrorPath: string, branch: string): Promise<string | undefined> {
  return commitOf(mirrorPath, `refs/heads/${branch}`);
}

async function commitOf(mirrorPath: string, revision: string): Promise<string | undefined> {
  const said = await git(mirrorPath, ["rev-parse", "--verify", "--quiet", `${revision}^{commit}`]);
  return said?.trim();
}

/**
 * Reads a file as it is in a revision; `undefined` when there is none, or it is too large. Follows no link: of one, its text
 * is what it leads to.
 *
 * @throws {Fault} `repository.unreached` when git says nothing in time
 */
export async function readMirrorFile(mirrorPath: string, revision: string, path: string): Promise<string | undefined> {
  return git(mirrorPath, ["cat-file", "blob", `${revision}:${path}`]);
}

/** Lists the names in a folder as it is in a revision; none when there is no such folder. */
export async function listMirrorFolder(mirrorPath: string, revision: string, path: string): Promise<readonly string[]> {
  const listed = await git(mirrorPath, ["ls-tree", "-z", "--name-only", `${revision}:${path}`]);
  return (listed ?? "").split("\0").filter((name) => name !== "");
}

/** Standard output of git in a mirror, `undefined` when it could not do so. */
function git(mirrorPath: string, words: readonly string[]): Promise<string | undefined> {
  const env = { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C", GIT_CONFIG_GLOBAL: "/dev/null" };
  const options = { env, timeout: READ_MS, maxBuffer: FILE_BYTES, encoding: "utf8" } as const;
  // A mirror may belong to another user than the one we run as: git would refuse it otherwise.
  const safe = ["-c", `safe.directory=${mirrorPath}`, "-C", mirrorPath];
  return new Promise((resolve, reject) => {
    execFile("git", [...safe, ...words], options, (error, stdout) => {
      // What was not read is not what is not there: an environment would be made as if it had no definition.
      if (error?.signal === "SIGTERM" && error.code !== "ERR_CHILD_PROCESS_STDIO_MAXBUFFER")
        reject(new Fault("repository.unreached", `Cannot read ${mirrorPath}: git took longer than ${READ_MS} ms`));
      else resolve(error === null ? stdout : undefined);
    });
  });
}
