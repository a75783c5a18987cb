/**
 * Streams bytes into a shell text inside that knows by itself where they end, by the toolbox's `feed`.
 *
 * @module
 */
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { FEED } from "../inside.ts";
import type { Exec } from "../api/cluster-api.ts";
import { type Answers, converse } from "./conversation.ts";
import { lineOf, type StartProgram } from "./line.ts";

/** What is kept of the output of a text that is fed. */
const OUTPUT_BYTES = 1_024 * 1_024;

/**
 * Starts the text, which may still be in the making, and talks with it: its input is what `talk` writes, its output what
 * `talk` reads.
 */
export async function feedBy<T>(
  exec: StartProgram,
  text: string | Promise<string>,
  talk: (program: Exec, answers: Answers) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const line = Promise.resolve(text).then(lineOf);
  line.catch(() => {}); // thrown where it is waited for, which may be after the program was started
  return converse(
    exec([FEED], { mayStall: true }),
    async (program, answers) => {
      program.stream.write(await line);
      return talk(program, answers);
    },
    signal,
  );
}

/**
 * Feeds `source` to the text and waits for its end.
 *
 * @throws what ended `source`; {Fault} `cluster.*` when the connection broke
 */
export async function feed(
  exec: StartProgram,
  { text, source }: { readonly text: string; readonly source: Readable },
  signal: AbortSignal,
): Promise<{ stdout: string; exitCode: number }> {
  const talk = async (program: Exec, answers: Answers) => {
    const pouring = pour(source, program);
    pouring.catch(() => program.stream.destroy());
    const [stdout] = await Promise.all([answers.rest(OUTPUT_BYTES), pouring]);
    const end = await program.ended;
    return { stdout: stdout.toString("utf8"), exitCode: end.type === "exited" ? end.exitCode : 127 };
  };
  return feedBy(exec, text, talk, signal);
}

/** Pours it all into the program, as fast as that takes it. A program that ended does not need the rest. */
export async function pour(source: Readable, { stream }: Exec): Promise<void> {
  await pipeline(source, stream, { end: false }).catch((error: unknown) => {
    if (!stream.readableEnded) throw error;
  });
}
