import { once } from "node:events";
import { type Duplex, duplexPair } from "node:stream";
import { beforeEach, expect, test } from "vitest";

import { HandClock } from "../../../../test/fakes/hand-clock.ts";
import type { Exec, ExecEnd } from "../api/cluster-api.ts";
import { takeCallsInside } from "./calls.ts";

const QUESTION = "git-credential\nhost=forge.example\n\n";

let clock: HandClock;
let stop: AbortController;
beforeEach(() => {
  clock = new HandClock();
  stop = new AbortController();
});

interface Taking {
  /** The program's side of its exec. */
  readonly inside: Duplex;
  readonly stream: Duplex;
  readonly words: readonly string[];
  readonly end: (end: ExecEnd) => void;
  /** What it ended with. */
  readonly failure: Promise<unknown>;
}

function take(onCall: (call: Duplex) => void): Taking {
  const [stream, inside] = duplexPair();
  const { promise: ended, resolve: end } = Promise.withResolvers<ExecEnd>();
  const words: string[] = [];
  const exec = async (argv: readonly string[]): Promise<Exec> => {
    words.push(...argv);
    return { stream, ended, canEndInput: false, stderr: () => "its last words" };
  };
  const failure = takeCallsInside(exec, { onCall, clock }, stop.signal).catch((error: unknown) => error);
  return { inside, stream, words, end, failure };
}

function hex(text: string): string {
  return `${Buffer.from(text).toString("hex")}\n`;
}

/** Says a line as the program does, and reads the answer to it. */
async function say(inside: Duplex, line: string): Promise<string> {
  const told = once(inside, "data");
  inside.write(line);
  const [answer] = (await told) as [Buffer];
  expect(String(answer)).toMatch(/^[0-9a-f]*\n$/);
  return Buffer.from(String(answer).trimEnd(), "hex").toString();
}

const echo = (call: Duplex): void => {
  let said = "";
  call.on("data", (chunk: Buffer) => (said += chunk.toString()));
  call.once("end", () => call.end(`you said ${said}`));
};

test("takeCallsInside() hands over each question to its end, and what is answered, one call after another", async () => {
  const { inside, words } = take(echo);
  expect(await say(inside, hex(QUESTION))).toBe(`you said ${QUESTION}`);
  expect(words).toEqual(["/opt/slipway/libexec/calls", "serve", "/run/slipway/calls.sock"]);
  const second = say(inside, hex("again"));
  await clock.advance(19);
  expect(inside.readableLength).toBe(0);
  await clock.advance(1);
  expect(await second).toBe("you said again");
});

test("takeCallsInside() answers nothing for a call that is hung up on, that takes 10 s, or whose answer is too long", async () => {
  const acts: ((call: Duplex) => void)[] = [
    (call) => void call.destroy(),
    () => undefined,
    (call) => void call.on("error", () => undefined).end("x".repeat(64 * 1_024 + 1)),
    (call) => void call.end("x".repeat(64 * 1_024)),
  ];
  const { inside } = take((call) => acts.shift()?.(call));
  expect(await say(inside, hex("1"))).toBe("");
  await clock.advance(20);
  const slow = say(inside, hex("2"));
  await clock.advance(9_999);
  expect(inside.readableLength).toBe(0);
  await clock.advance(1);
  expect(await slow).toBe("");
  await clock.advance(20);
  expect(await say(inside, hex("3"))).toBe("");
  await clock.advance(20);
  let said = "";
  inside.on("data", (chunk: Buffer) => (said += chunk.toString()));
  inside.write(hex("4"));
  await clock.advance(0);
  expect(said).toBe(hex("x".repeat(64 * 1_024)));
});

test.each([
  ["is not hexadecimal", "secrets\n"],
  ["has half a byte", "abc\n"],
  ["is empty", "\n"],
  ["is longer than a question may be", `${"61".repeat(4_097)}\n`],
  ["does not end", "61".repeat(40_000)],
])("takeCallsInside() believes nothing any more after a line that %s", async (_, line) => {
  const taken: Duplex[] = [];
  const { inside, stream, failure } = take((call) => taken.push(call));
  inside.write(line);
  expect(await failure).toMatchObject({ name: "StrangeCall" });
  expect(taken).toEqual([]);
  expect(stream.destroyed).toBe(true);
});

test("takeCallsInside() says how its program ended", async () => {
  const { inside, end, failure } = take(echo);
  end({ type: "exited", exitCode: 1 });
  inside.end();
  expect(String(await failure)).toContain("Cannot take calls from inside: it ended with 1, its last words");
});

test("takeCallsInside() ends at once when it is told to or the stream breaks, and hangs up on who calls", async () => {
  const calls: Duplex[] = [];
  const stopped = take((call) => calls.push(call));
  stopped.inside.write(hex("1"));
  await clock.advance(0);
  stop.abort(new Error("Nobody wants it"));
  expect(String(await stopped.failure)).not.toContain("StrangeCall");
  stop = new AbortController();
  const broken = take((call) => calls.push(call));
  broken.inside.write(hex("1"));
  await clock.advance(0);
  broken.stream.destroy(new Error("Broken"));
  await clock.advance(20);
  expect(String(await broken.failure)).toContain("Broken");
  expect(calls.map(({ destroyed }) => destroyed)).toEqual([true, true]);
  expect([stopped.stream.destroyed, clock.pendingCount]).toEqual([true, 0]);
});
