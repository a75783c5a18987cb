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
import { FEED, INSIDE, TOOLS_PATH, WORKSPACE } from "./inside.ts";
import type { Exec } from "./api/cluster-api.ts";
import { type Answers, faultOfEnd } from "./inside/conversation.ts";
import { feed, feedBy } from "./inside/feed.ts";
import { lineOf, type StartProgram } from "./inside/line.ts";

/**
 * Starts to read; the stream fails when the program that writes it does, so that half of the files is never taken for all.
 * What runs inside stands still until `signal` aborts, and no longer than we are there.
 */
export async function packFiles(cluster: Cluster, id: string, signal: AbortSignal): Promise<Readable> {
  const { found, pod } = await mustRunIn(cluster, id);
  const exec = execIn(cluster, pod, signal);
  const files = new PassThrough();
  files.on("error", () => {}); // it may fail before anybody reads it, who is then told by the first read
  await holdStill(exec, signal, (cause) => files.destroy(notWhole(id, "what runs in it could not be stopped", cause)));
  const program = await exec([FEED], { mayStall: true });
  program.stream.write(lineOf(`${toolsFirst()}tar -cf - ${foldersOf(found.kept.entrance?.user)}\n`));
  void (async () => {
    try {
      await pipeline(program.stream, files, { end: false, signal });
      const end = await program.ended;
      const failed = end.type !== "exited" || end.exitCode !== 0;
      if (failed) files.destroy(notWhole(id, `tar said ${JSON.stringify(end)}, ${program.stderr()}`));
      else files.end();
    } catch (error) {
      files.destroy(notWhole(id, "the stream was cut", error));
      program.stream.destroy(); // where `files` had failed before, the pipeline did not begin, and ended nothing
    }
  })();
  return files;
}

/**
 * Stops everything but process 1 and the shell that does it, which lets all go on when its input ends: that it does when we
 * close the connection, and when we are killed. With `kill` of the shell itself, or it would be stopped with the others.
 */
const STILL = `exec ${INSIDE}/bin/sh -c 'kill -STOP -1; echo still; read -r line; kill -CONT -1'\n`;

/** @param onFailure called when it ends before `signal` aborts */
async function holdStill(exec: StartProgram, signal: AbortSignal, onFailure: (cause: unknown) => void): Promise<void> {
  const still = Promise.withResolvers<undefined>();
  const talk = async (program: Exec, answers: Answers): Promise<void> => {
    if ((await answers.line()) !== "still") throw await faultOfEnd("stop what runs", program);
    still.resolve(undefined);
    await answers.line(); // never comes
    throw await faultOfEnd("keep still what runs", program);
  };
  feedBy(exec, STILL, talk, signal).catch((cause: unknown) => {
    still.reject(cause);
    if (!signal.aborted) onFailure(cause);
  });
  await still.promise;
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
