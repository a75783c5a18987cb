/**
 * One talk with a program of the toolbox: what it says is read line by line and by counted bytes, and its stream is gone
 * when the talk is over, however it ended.
 *
 * Called by what speaks to those programs in this folder.
 *
 * @module
 */
import type { Readable } from "node:stream";

import { Fault } from "../../../base/fault.ts";
import { unlessAborted } from "../../../base/unless-aborted.ts";
import { asError } from "../../program.ts";
import type { Exec } from "../api/cluster-api.ts";

/** A line of theirs is a few numbers, or names a thing. */
const LINE_BYTES = 64 * 1_024;

/** Reads what a program says. */
export class Answers {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: Readable) {
    this.#chunks = stream.iterator({ destroyOnReturn: false });
  }

  /** Reads a line, without its end; `undefined` when the program ended before it was whole. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const at = this.#rest.indexOf(0x0a);
      if (at !== -1) {
        const line = this.#rest.toString("utf8", 0, at);
        this.#rest = this.#rest.subarray(at + 1);
        return line;
      }
      if (this.#rest.length > LINE_BYTES) return undefined;
      const more = await this.#next();
      if (more === undefined) return undefined;
      this.#rest = Buffer.concat([this.#rest, more]);
    }
  }

  /** Reads `count` bytes and keeps the first `keepBytes`; `undefined` when the program ended before. */
  async bytes(count: number, keepBytes: number): Promise<Buffer | undefined> {
    const kept: Buffer[] = [];
    let [left, room] = [count, Math.min(count, keepBytes)];
    while (left > 0) {
      const chunk = this.#rest.length > 0 ? this.#rest : await this.#next();
      if (chunk === undefined) return undefined;
      const mine = chunk.subarray(0, left);
      this.#rest = chunk.subarray(mine.length);
      left -= mine.length;
      if (room > 0) kept.push(mine.subarray(0, room));
      room -= Math.min(room, mine.length);
    }
    return Buffer.concat(kept);
  }

  /** Reads to the end and keeps the first `keepBytes`. */
  async rest(keepBytes: number): Promise<Buffer> {
    const kept: Buffer[] = [];
    let room = keepBytes;
    for (let chunk: Buffer | undefined = this.#rest; chunk !== undefined; chunk = await this.#next()) {
      if (room > 0) kept.push(chunk.subarray(0, room));
      room -= Math.min(room, chunk.length);
    }
    return Buffer.concat(kept);
  }

  async #next(): Promise<Buffer | undefined> {
    const next = await this.#chunks.next();
    return next.done === true ? undefined : next.value;
  }
}

/**
 * Talks with a program that is being started. Rejects at once when `signal` aborts: the end of its input tells the program
 * to end too.
 */
export async function converse<T>(
  starting: Promise<Exec>,
  talk: (program: Exec, answers: Answers) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  let isOver = false;
  // One that comes when nobody waits for it any more.
  starting.then(
    ({ stream }) => isOver && stream.destroy(),
    () => {},
  );
  try {
    const program = await unlessAborted(starting, signal);
    const { stream } = program;
    stream.on("error", () => {}); // whoever reads or waits is told
    const stop = () => stream.destroy(asError(signal.reason));
    signal.addEventListener("abort", stop, { once: true });
    try {
      return await talk(program, new Answers(stream));
    } finally {
      signal.removeEventListener("abort", stop);
      stream.destroy();
    }
  } finally {
    isOver = true;
  }
}

/** Makes the fault of a program that ended before it said what it had to. */
export async function faultOfEnd(act: string, program: Exec): Promise<Fault> {
  const end = await program.ended;
  const how = end.type === "exited" ? `it ended with ${end.exitCode}` : end.reason;
  const said = program.stderr().trim();
  return new Fault("runtime.failed", `Cannot ${act}: ${how}${said === "" ? "" : `, ${said}`}`);
}
