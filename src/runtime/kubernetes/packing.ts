/**
 * Moves what a person has in an environment, checkout and home, out of one pod and into another: `Runtime.pack` and
 * `Runtime.unpack`. A tar of both, which knows its own end.
 *
 * @module
 */
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Fault } from "../../base/fault.ts";
import { quoteWord } from "../shell-words.ts";
import { type Cluster, execIn, mustRunIn } from "./cluster.ts";
import { FEED, TOOLS_PATH, WORKSPACE } from "./inside.ts";
import { feed } from "./inside/feed.ts";
import { lineOf } from "./inside/line.ts";

/** Starts to read; the stream fails when the program that writes it does, so that half of the files is never taken for all. */
export async function packFiles(cluster: Cluster, id: string, signal: AbortSignal): Promise<Readable> {
  const { found, pod } = await mustRunIn(cluster, id);
  const program = await execIn(cluster, pod, signal)([FEED], { mayStall: true });
  program.stream.write(lineOf(`${toolsFirst()}tar -cf - ${foldersOf(found.kept.entrance?.user)}\n`));
  const files = new PassThrough();
  void (async () => {
    try {
      await pipeline(program.stream, files, { end: false, signal });
      const end = await program.ended;
      const failed = end.type !== "exited" || end.exitCode !== 0;
      if (failed) files.destroy(notWhole(id, `tar said ${JSON.stringify(end)}, ${program.stderr()}`));
      else files.end();
    } catch (error) {
      files.destroy(notWhole(id, "the stream was cut", error));
    }
  })();
  return files;
}

/** Replaces what is there. @throws {Fault} `runtime.failed` when it did not all arrive */
export async function unpackFiles(cluster: Cluster, id: string, files: Readable, signal: AbortSignal): Promise<void> {
  const { found, pod } = await mustRunIn(cluster, id);
  const folders = foldersOf(found.kept.entrance?.user);
  const text = [
    `${toolsFirst()}for folder in ${folders}; do find "$folder" -mindepth 1 -maxdepth 1 -exec rm -rf {} + || exit 1; done`,
    "tar -C / -xpf - && echo whole",
  ].join("\n");
  const { stdout, exitCode } = await feed(execIn(cluster, pod, signal), { text, source: files }, signal);
  if (exitCode !== 0 || !stdout.endsWith("whole\n")) throw notWhole(id, `tar ended with ${exitCode}`);
}

function foldersOf(user = "dev"): string {
  return [WORKSPACE, `/home/${user}`].map(quoteWord).join(" ");
}

function toolsFirst(): string {
  return `export PATH="${TOOLS_PATH}:$PATH"; cd /; `;
}

function notWhole(id: string, why: string, cause?: unknown): Fault {
  return new Fault("runtime.failed", `Cannot move the files of ${id}: ${why}`, {
    told: "its files could not all be copied, so it stays where it is",
    cause,
  });
}
