/**
 * Takes the calls of what runs inside by the toolbox's `calls`: a line from it for each call, and a line back. What it says is
 * hostile, since its person can speak in its stead: lines are bounded, calls come one after another and not too fast, and
 * whatever is wrong ends the stream.
 *
 * Called by `../listening.ts`, which opens streams again; the contract is `../inside.ts`.
 *
 * @module
 */
import { Duplex } from "node:stream";
import type { Clock } from "../../../base/clock.ts";
import type { Exec } from "../api/cluster-api.ts";
import { CALLS, CALLS_SOCKET } from "../inside.ts";
import { type Answers, converse, faultOfEnd } from "./conversation.ts";
import type { StartProgram } from "./line.ts";

/** `images/toolbox/calls.c` knows both too. */
const [QUESTION_BYTES, ANSWER_BYTES] = [4 * 1_024, 64 * 1_024];

/** How long one call may take: all others wait for it. */
const CALL_MS = 10_000;

/** Between two calls, so that no more than 50 a second cost us anything (guess: git calls once a push). */
const GAP_MS = 20;

/** What came was not of our program: its person, or something of theirs, speaks. */
export class StrangeCall extends Error {
  override readonly name = "StrangeCall";
}

export interface TakeCallsOptions {
  readonly onCall: (stream: Duplex) => void;
  readonly clock: Clock;
}

/**
 * Takes calls until the stream ends, which it never does well.
 *
 * @throws {StrangeCall} after which nothing of this stream is believed
 * @throws {Fault} `runtime.failed` or `cluster.*` when the program or the connection ended
 */
export async function takeCallsInside(
  exec: StartProgram,
  options: TakeCallsOptions,
  signal: AbortSignal,
): Promise<never> {
  const talk = async (program: Exec, answers: Answers): Promise<never> => {
    for (;;) {
      const question = await readQuestion(program, answers);
      const answer = await answerOf(question, program.stream, options);
      // One that nobody is there for any more is lost with the stream, which the next question tells.
      await new Promise<void>((resolve) => program.stream.write(`${answer.toString("hex")}\n`, () => resolve()));
      await options.clock.sleep(GAP_MS, signal);
    }
  };
  return converse(exec([CALLS, "serve", CALLS_SOCKET]), talk, signal);
}

async function readQuestion(program: Exec, answers: Answers): Promise<Buffer> {
  const line = await answers.line();
  if (line === undefined && (program.stream.readableEnded || program.stream.destroyed))
    throw await faultOfEnd("take calls from inside", program);
  if (line === undefined || line.length > 2 * QUESTION_BYTES || !/^(?:[0-9a-f]{2})+$/.test(line))
    throw new StrangeCall(`Cannot take a call: a line is not hexadecimal, or longer than ${QUESTION_BYTES} bytes`);
  return Buffer.from(line, "hex");
}

/** @returns nothing for a call that was hung up on, that took too long, or whose answer is too long */
async function answerOf(question: Buffer, stream: Duplex, { onCall, clock }: TakeCallsOptions): Promise<Buffer> {
  const answered = Promise.withResolvers<Buffer>();
  const said: Buffer[] = [];
  let byteCount = 0;
  const call = new Duplex({
    read: () => {
      call.push(question);
      call.push(null);
    },
    write: (chunk: Buffer, _encoding, done) => {
      said.push(chunk);
      byteCount += chunk.length;
      done(byteCount > ANSWER_BYTES ? new Error("Cannot answer a call: the answer is too long") : null);
    },
    final: (done) => {
      answered.resolve(Buffer.concat(said));
      done();
    },
    destroy: (error, done) => {
      answered.resolve(Buffer.alloc(0)); // unless there is one
      done(error);
    },
  });
  call.on("error", () => {}); // told to whoever answers
  const hangUp = (): void => void call.destroy();
  const cancel = clock.after(CALL_MS, hangUp);
  stream.once("close", hangUp);
  try {
    onCall(call);
    return await answered.promise;
  } finally {
    cancel();
    stream.off("close", hangUp);
  }
}
