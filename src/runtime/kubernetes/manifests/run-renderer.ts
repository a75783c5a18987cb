/**
 * Runs a program that makes objects of a folder, over files that anybody who can push wrote: without git, without our user
 * where we are root, with little time and memory, and without a network where the machine lets us take it away.
 *
 * @module
 */
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { runProgram } from "../../program.ts";

/** Where programs of this machine are looked for. */
export const PROGRAM_FOLDERS = ["/usr/local/bin", "/usr/bin", "/bin"] as const;

/** Far more than a large overlay takes (guess); one that is hostile takes it all. */
const TIME_S = 10;
/** Of address space: a Go program reserves more than it uses. */
const MEMORY_BYTES = 8 * 2 ** 30;
const OUTPUT_BYTES = 4 * 2 ** 20;
/** The user and group `nobody`. */
const NOBODY = 65_534;
/** Nobody listens at port 0, and everything but loopback is asked for there: Go's net/http, ProxyFromEnvironment. */
const DEAD_PROXY = "http://127.0.0.1:0";

/** How a program is kept off the network: by root, in a user namespace, or not at all. */
export type Fence = "root" | "user" | "none";

const FENCES: Readonly<Record<Fence, readonly string[]>> = {
  root: [
    ...["unshare", "--net", "--", "setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"],
    ...["--no-new-privs", "--bounding-set=-all", "--"],
  ],
  // An ordinary user has to have a user namespace for that.
  user: ["unshare", "--user", "--net", "--"],
  none: [],
};

export function isRoot(): boolean {
  return userInfo().uid === 0;
}

/** Says what this machine lets us do: in a pod under the usual seccomp profile there are no namespaces to be had. */
export async function findFence(signal: AbortSignal): Promise<Fence> {
  if (isRoot()) return "root";
  const { exitCode } = await runProgram(["unshare", "--user", "--net", "true"], {}, signal);
  return exitCode === 0 ? "user" : "none";
}

/** Finds a program by its name; `undefined` when it is not on this machine. */
export async function findProgram(name: string, folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    const path = join(folder, name);
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  return undefined;
}

export interface RenderRun {
  /** Program and arguments; the program by its path. */
  readonly argv: readonly string[];
  /** Folder that it may write to, and is in. */
  readonly folder: string;
  /** Folder of the files, which people know by their paths in the repository alone. */
  readonly tree: string;
  readonly fence: Fence;
}

/** @returns what it wrote, or the end of what it complained of */
export async function runRenderer(
  { argv, folder, tree, fence }: RenderRun,
  signal: AbortSignal,
): Promise<{ readonly text: string } | { readonly wrong: string }> {
  const proxies = ["HTTP_PROXY", "HTTPS_PROXY"].map((name) => `${name}=${DEAD_PROXY}`);
  const limited = ["GOMAXPROCS=2", "GOMEMLIMIT=512MiB"];
  const env = [`HOME=${folder}`, `TMPDIR=${folder}`, "PATH=/nonexistent", ...limited, ...proxies];
  const limits = ["prlimit", `--as=${MEMORY_BYTES}`, `--cpu=${TIME_S}`, "--core=0", "--"];
  const timed = ["timeout", "--kill-after=1", String(TIME_S)];
  const words = [...timed, ...FENCES[fence], ...limits, "env", "-i", ...env, ...argv];
  const options = { cwd: folder, maxBytes: OUTPUT_BYTES + 1 };
  const { exitCode, stdout, stderr } = await runProgram(words, options, signal);
  if (exitCode === 0 && Buffer.byteLength(stdout) > OUTPUT_BYTES)
    return { wrong: `it wrote more than ${OUTPUT_BYTES} bytes` };
  if (exitCode === 0) return { text: stdout };
  // timeout(1): 124 when the time was up, 137 when it had to kill.
  const why = exitCode === 124 || exitCode === 137 ? `it took longer than ${TIME_S} s, or too much memory` : stderr;
  return { wrong: cleaned(why, tree) };
}

/** Without the names of our folders and what loggers write around a sentence, on one line, its end. */
function cleaned(text: string, tree: string): string {
  const plain = text
    .replaceAll(`${tree}/`, "")
    .replaceAll(tree, ".")
    .replace(/[\p{C}\s]+/gu, " ")
    .trim()
    // How kubectl says it: k8s.io/component-base, cli/run.go.
    .replace(/^E[0-9]{4} [0-9:.]+ +[0-9]+ run\.go:[0-9]+\] "command failed" err="(.*)"$/, "$1")
    .replaceAll('\\"', '"')
    .replace(/^error: /i, "");
  return plain === "" ? "it failed without saying why" : plain.slice(-1_000);
}
