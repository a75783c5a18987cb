/**
 * Runs a shell text inside and waits for it, by the toolbox's `run`.
 *
 * @module
 */
import { RUN_COMMAND } from "../inside.ts";
import { converse, faultOfEnd } from "./conversation.ts";
import { lineOf, type StartProgram } from "./line.ts";

export interface InsideRun {
  readonly text: string;
  /** `log`: both outputs go to the environment's log. `out`: standard output is returned, standard error told. */
  readonly output: "log" | "out";
  /** Of standard output, the first that are kept; no more than 8 MiB are kept inside. */
  readonly maxBytes: number;
}

export interface InsideEnd {
  readonly exitCode: number;
  readonly stdout: string;
  /** The last 16 KiB. */
  readonly stderr: string;
}

/**
 * Runs it. Nothing of what it said is lost: the program inside stays until we have it. When `signal` aborts, what runs is
 * killed with its whole session, and this rejects at once.
 *
 * @throws {Fault} `runtime.failed` when the toolbox could not run it, `cluster.*` when the connection broke
 */
export async function runInside(exec: StartProgram, run: InsideRun, signal: AbortSignal): Promise<InsideEnd> {
  const { text, output, maxBytes } = run;
  return converse(
    exec([RUN_COMMAND, output]),
    async (program, answers) => {
      program.stream.write(lineOf(text));
      const [, code, count] = /^(\d{1,3}) (\d{1,9})$/.exec((await answers.line()) ?? "") ?? [];
      const kept = code === undefined ? undefined : await answers.bytes(Number(count), maxBytes);
      if (kept === undefined) throw await faultOfEnd("run a command inside", program);
      await new Promise<void>((resolve) => program.stream.write("\n", () => resolve()));
      return { exitCode: Number(code), stdout: kept.toString("utf8"), stderr: program.stderr() };
    },
    signal,
  );
}
