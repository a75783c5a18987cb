/**
 * Files of a revision of a bare mirror, straight from git's objects: no checkout, no filters, no links.
 *
 * What a tree says is hostile: whoever can push can make one with any names in it.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { Fault } from "../../../base/fault.ts";
import { MACHINE_ENV, runProgram } from "../../program.ts";

export interface MirrorRevision {
  /** Bare repository on this machine. */
  readonly mirrorPath: string;
  /** As git names it: `refs/heads/main`. */
  readonly revision: string;
}

export interface TreeFile {
  /** In the repository, with `/`. Each part of it is a plain name. */
  readonly path: string;
  readonly hash: string;
  readonly sizeBytes: number;
  /** A symbolic link, or a submodule: there is nothing of it to be read. */
  readonly isOther: boolean;
}

/** Names of half a million files. */
const LISTING_BYTES = 64 * 1_024 * 1_024;

/** Lists all files of a revision, by path. @throws {Fault} `repository.unreached` when there is no such revision */
export async function listTree({ mirrorPath, revision }: MirrorRevision, signal: AbortSignal): Promise<TreeFile[]> {
  const words = [...gitIn(mirrorPath), "ls-tree", "-r", "-z", "--long", "--full-tree", "--end-of-options", revision];
  const { exitCode, stdout, stderr } = await runProgram(words, { maxBytes: LISTING_BYTES }, signal);
  if (exitCode !== 0) {
    throw new Fault("repository.unreached", `Cannot list ${revision} of ${mirrorPath}: ${stderr.trim()}`);
  }
  return stdout.split("\0").flatMap((entry) => {
    // <mode> SP <type> SP <object> SP+ <size> TAB <path>: git-ls-tree(1)
    const [, mode = "", hash = "", size = "", path = ""] =
      /^([0-9]+) [a-z]+ ([0-9a-f]+) +([0-9]+|-)\t(.+)$/s.exec(entry) ?? [];
    if (!isPlain(path)) return [];
    return [{ path, hash, sizeBytes: size === "-" ? 0 : Number(size), isOther: !mode.startsWith("100") }];
  });
}

/** No way out of a folder that such a path is put under. */
function isPlain(path: string): boolean {
  return path !== "" && path.split("/").every((part) => !["", ".", ".."].includes(part) && !/^\.git$/i.test(part));
}

/** The words that git is asked in a mirror with, which may belong to another user than the one we run as. */
export function gitIn(mirrorPath: string): readonly [string, ...string[]] {
  return ["git", "-c", `safe.directory=${mirrorPath}`, "--git-dir", mirrorPath];
}

/** Reads files, in their order. @throws {Fault} `repository.unreached` when one is not in the mirror */
export async function readFiles(
  mirrorPath: string,
  files: readonly TreeFile[],
  signal: AbortSignal,
): Promise<readonly Buffer[]> {
  if (files.length === 0) return [];
  const [program, ...words] = [...gitIn(mirrorPath), "cat-file", "--batch"] as const;
  const env = { ...MACHINE_ENV, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
  const child = spawn(program, words, { cwd: "/", env, stdio: ["pipe", "pipe", "ignore"], signal });
  child.stdin.on("error", () => {}); // EPIPE: what it did not read is missed below
  child.stdin.end(files.map(({ hash }) => `${hash}\n`).join(""));
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.once("error", reject).once("close", () => resolve());
  });
  return cut(Buffer.concat(chunks), files, mirrorPath);
}

/** `<hash> blob <size> LF <contents> LF` for each: git-cat-file(1), BATCH OUTPUT. */
function cut(output: Buffer, files: readonly TreeFile[], mirrorPath: string): Buffer[] {
  let offset = 0;
  return files.map(({ path, hash }) => {
    const end = output.indexOf("\n", offset);
    const [, size] = /^[0-9a-f]+ blob ([0-9]+)$/.exec(output.toString("latin1", offset, Math.max(end, offset))) ?? [];
    const from = end + 1;
    offset = from + Number(size) + 1;
    if (size === undefined || offset > output.length) {
      throw new Fault(
        "repository.unreached",
        `Cannot read ${path} of ${mirrorPath}: object ${hash} is not there whole`,
      );
    }
    return output.subarray(from, offset - 1);
  });
}
