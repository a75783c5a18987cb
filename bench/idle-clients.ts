/**
 * A process full of idle clients, driven by lines: `hold 100` opens connections until there are 100, `check` asks every
 * server for a sign of life and says how many answered. Ends with its standard input.
 *
 * Started by `rows/idle.ts`, so that the memory of clients and of the benchmark do not mix.
 *
 * @module
 */
import { createInterface } from "node:readline";
import { message } from "../src/ssh/numbers.ts";
import type { Transport } from "../src/ssh/transport.ts";
import { WireReader, WireWriter } from "../src/ssh/wire.ts";
import { connectRaw, type RawTarget } from "./lib/raw-client.ts";

/** Connections opened at once. */
const AT_ONCE = 4;
const ANSWER_MS = 5_000;

interface Idle {
  /** Called when the server has answered. */
  onAnswer: () => void;
}

const target = JSON.parse(process.argv[2] ?? "") as RawTarget;
const held = new Map<Idle, Transport>();
const stop = new AbortController();

async function open(): Promise<void> {
  const idle: Idle = { onAnswer: () => {} };
  const transport = await connectRaw(
    target,
    {
      message: (payload) => {
        const number = payload[0];
        if (number === message.requestSuccess || number === message.requestFailure) idle.onAnswer();
        else if (wantsAnswer(payload)) held.get(idle)?.send(Buffer.of(message.requestFailure));
      },
      drained: () => {},
      ended: () => {
        held.delete(idle);
      },
    },
    stop.signal,
  );
  held.set(idle, transport);
}

/** Says whether it is a question such as whether we are there: any answer will do. */
function wantsAnswer(payload: Buffer): boolean {
  if (payload[0] !== message.globalRequest) return false;
  const reader = new WireReader(payload, 1);
  reader.string();
  return reader.boolean();
}

async function hold(count: number): Promise<void> {
  let left = count - held.size;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await open();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function countAlive(): Promise<number> {
  const request = new WireWriter().byte(message.globalRequest).string("keepalive@openssh.com").boolean(true).done();
  let count = 0;
  const answers = [...held].map(([idle, transport]) => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    idle.onAnswer = () => {
      count++;
      resolve(undefined);
    };
    transport.send(request);
    return promise;
  });
  await Promise.race([Promise.all(answers), new Promise((resolve) => setTimeout(resolve, ANSWER_MS))]);
  return count;
}

for await (const line of createInterface({ input: process.stdin })) {
  const [word, number] = line.split(" ");
  if (word === "hold") {
    await hold(Number(number));
    console.log(`held ${held.size}`);
  } else if (word === "check") {
    console.log(`alive ${await countAlive()}`);
  }
}
stop.abort();
process.exit(0);
