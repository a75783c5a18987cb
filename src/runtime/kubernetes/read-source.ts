/**
 * Reads a file of an environment's checkout: from its pod while it runs, else as it is on the forge.
 *
 * @module
 */
import { posix } from "node:path";
import { quoteWord } from "../shell-words.ts";
import { type Cluster, execIn, findReadyPod, mustFind } from "./cluster.ts";
import { WORKSPACE } from "./inside.ts";
import { runInside } from "./inside/run-inside.ts";
import { readMirrorFile, revisionOf } from "./sources.ts";

/** As for what is read from a mirror. */
const FILE_BYTES = 1024 * 1024;

/** @param path in the repository; one that leads out of it is as one that is not there */
export async function readSource(
  cluster: Cluster,
  id: string,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (posix.isAbsolute(path) || posix.normalize(path).startsWith("..")) return undefined;
  const found = await mustFind(cluster, id);
  const { source } = found.kept.spec;
  const pod = findReadyPod(cluster, found);
  if (pod === undefined) return readMirrorFile(source.mirrorPath, revisionOf(source), path);
  const root = `${WORKSPACE}/${source.repository}`;
  // Its real path has to be below the checkout: links may lead anywhere.
  const text = [
    `root=$(readlink -f ${quoteWord(root)}) && file=$(readlink -f ${quoteWord(`${root}/${path}`)}) || exit 4`,
    'case "$file" in "$root"/*) ;; *) exit 4 ;; esac',
    '[ -f "$file" ] || exit 4',
    `head -c ${FILE_BYTES} "$file"`,
  ].join("\n");
  const { exitCode, stdout } = await runInside(
    execIn(cluster, pod, signal),
    { text, output: "out", maxBytes: FILE_BYTES },
    signal,
  );
  return exitCode === 0 ? stdout : undefined;
}
