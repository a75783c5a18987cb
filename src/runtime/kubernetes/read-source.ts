/**
 * Reads a file or a folder of an environment's checkout: from its pod while it runs, else as it is on the forge.
 *
 * @module
 */
import { posix } from "node:path";
import { Fault } from "../../base/fault.ts";
import { unlessAborted } from "../../base/unless-aborted.ts";
import { quoteWord } from "../shell-words.ts";
import { type Cluster, execIn, findReadyPod, mustFind } from "./cluster.ts";
import { WORKSPACE } from "./inside.ts";
import { runInside } from "./inside/run-inside.ts";
import { findRevision, listMirrorFolder, readMirrorFile } from "./sources.ts";

/** As for what is read from a mirror. */
const FILE_BYTES = 1024 * 1024;

/** A volume that hangs would keep whoever enters, and whoever removes it, waiting for ever (guess: a hundred times a slow one). */
const READ_MS = 15_000;

/** @param path in the repository; one that leads out of it is as one that is not there */
export async function readSource(
  cluster: Cluster,
  id: string,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  return read(cluster, id, { path, isThere: "-f", print: `head -c ${FILE_BYTES}`, readMirror: readMirrorFile }, signal);
}

/** @param path in the repository, of a folder; one that leads out of it is as one that is not there */
export async function listSource(
  cluster: Cluster,
  id: string,
  path: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const readMirror = async (...at: Parameters<typeof listMirrorFolder>): Promise<string> =>
    (await listMirrorFolder(...at)).join("\n");
  const names = await read(cluster, id, { path, isThere: "-d", print: "ls -A", readMirror }, signal);
  // A name with a line break in it comes as two that are not there.
  return (names ?? "").split("\n").filter((name) => name !== "");
}

interface Reading {
  readonly path: string;
  /** Of test(1). */
  readonly isThere: "-f" | "-d";
  /** What writes it to standard output, given its path. */
  readonly print: string;
  readonly readMirror: typeof readMirrorFile;
}

async function read(
  cluster: Cluster,
  id: string,
  { path, isThere, print, readMirror }: Reading,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (posix.isAbsolute(path) || posix.normalize(path).startsWith("..")) return undefined;
  const found = await mustFind(cluster, id);
  const { revision, spec } = found.kept;
  const { source } = spec;
  const pod = findReadyPod(cluster, found);
  if (pod === undefined) return readMirror(source.mirrorPath, (await findRevision(source, revision)).commit, path);
  const root = `${WORKSPACE}/${source.repository}`;
  // Its real path has to be below the checkout: links may lead anywhere.
  const text = [
    `root=$(readlink -f ${quoteWord(root)}) && file=$(readlink -f ${quoteWord(`${root}/${path}`)}) || exit 4`,
    'case "$file" in "$root"/*) ;; *) exit 4 ;; esac',
    `[ ${isThere} "$file" ] || exit 4`,
    `${print} "$file"`,
  ].join("\n");
  const late = new AbortController();
  const cancel = cluster.clock.after(READ_MS, () => late.abort());
  const until = AbortSignal.any([signal, late.signal]);
  try {
    const reading = { text, output: "out", maxBytes: FILE_BYTES } as const;
    const { exitCode, stdout } = await unlessAborted(runInside(execIn(cluster, pod, until), reading, until), until);
    return exitCode === 0 ? stdout : undefined;
  } catch (error) {
    if (signal.aborted || !late.signal.aborted) throw error;
    const told = `its files cannot be read in ${READ_MS / 1_000} s: their volume may be away`;
    throw new Fault("runtime.failed", `Cannot read ${path} in ${id}: it takes longer than ${READ_MS} ms`, { told });
  } finally {
    cancel();
  }
}
