/**
 * An sshd of a pod over TCP to the pod's address. The door stays the authority: it is asked for over its exec, which whoever
 * is in the cluster cannot, and the end of the exec ends the session. Over TCP go the bytes alone, past the API server.
 *
 * Called by `../connecting.ts`; the other side is `images/toolbox/listen.c`.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "../../../base/clock.ts";
import { Fault } from "../../../base/fault.ts";
import { untilFirst } from "../../../base/until-first.ts";
import type { Exec } from "../api/cluster-api.ts";
import { lineOf } from "./line.ts";

export interface ByAddressOptions {
  /** Of the pod. */
  readonly address: string;
  /** Text of an sshd_config. */
  readonly config: string;
  readonly clock: Clock;
}

/** What became of it. */
export type ByAddress =
  | { readonly type: "open"; readonly stream: Socket }
  /** The address did not answer in time; the door goes on with its own stream. */
  | { readonly type: "here"; readonly error: unknown }
  /** The door is of no use any more. */
  | { readonly type: "lost"; readonly error: unknown };

/** How long the door may take to say its port. An exec that works takes some milliseconds; a slow one is slow both ways (guess). */
const PORT_MS = 5_000;

/** How long an address inside of a cluster may take to answer: a network that drops what is not allowed never does (guess). */
const CONNECT_MS = 300;

/** How long the sshd may take to say something: it takes 10 ms on a calm node (guess). */
const FIRST_BYTE_MS = 3_000;

/** What ended well has its exec end by itself; the code and the last words come so long after the bytes, at most (guess). */
const LINGER_MS = 2_000;

/** Asks a door, to which nothing was said yet, for a connection by the address of its pod. */
export async function openByAddress(door: Exec, options: ByAddressOptions, signal: AbortSignal): Promise<ByAddress> {
  const { address, config, clock } = options;
  const token = randomBytes(16).toString("hex");
  door.stream.on("error", () => {}); // told by `ended`
  let socket: Socket;
  try {
    door.stream.write(`tcp ${address} ${token} ${lineOf(config)}`);
    const port = await inTime("the door's port", readPort(door.stream), { clock, ms: PORT_MS, signal });
    socket = connect({ host: address, port, noDelay: true });
  } catch (error) {
    return giveUp(door, error, signal);
  }
  socket.on("error", () => {}); // told by what waits for it, and by its end
  try {
    await inTime(`the address ${address}`, once(socket, "connect"), { clock, ms: CONNECT_MS, signal });
  } catch (error) {
    socket.destroy();
    if (signal.aborted) return giveUp(door, error, signal);
    // Without the token nothing was taken, so the door still waits.
    door.stream.write("here\n");
    return { type: "here", error };
  }
  try {
    socket.write(token);
    await inTime("the sshd", untilReadable(socket), { clock, ms: FIRST_BYTE_MS, signal });
  } catch (error) {
    socket.destroy();
    return giveUp(door, error, signal);
  }
  tieTogether(door, socket, clock);
  return { type: "open", stream: socket };
}

function giveUp(door: Exec, error: unknown, signal: AbortSignal): ByAddress {
  door.stream.destroy();
  signal.throwIfAborted();
  return { type: "lost", error: new Error(`Cannot enter by the address: ${door.stderr().trim()}`, { cause: error }) };
}

/** The line is all that the door says. */
async function readPort(stream: Duplex): Promise<number> {
  let said = "";
  while (!said.endsWith("\n")) {
    await untilReadable(stream);
    const chunk: unknown = stream.read();
    if (Buffer.isBuffer(chunk)) said += chunk.toString("latin1");
    if (said.length > 32) break;
  }
  const [, port] = /^port ([0-9]{1,5})\n$/.exec(said) ?? [];
  if (port === undefined) throw new Error(`Cannot read the port: the door says ${JSON.stringify(said.slice(0, 100))}`);
  return Number(port);
}

/** Waits for bytes and leaves them where they are. @throws when the stream ends first */
async function untilReadable(stream: Duplex): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const look = (): void => {
    if (stream.readableLength > 0) resolve(undefined);
    else stream.read(0); // an end is told to those who read
  };
  const over = (): void => reject(new Error("Cannot read: the stream ended"));
  stream.on("readable", look).once("end", over).once("close", over);
  look();
  try {
    await promise;
  } finally {
    stream.off("readable", look).off("end", over).off("close", over);
  }
}

/** Each ends with the other. An exec that says how its program ended has let all bytes go before it. */
function tieTogether(door: Exec, socket: Socket, clock: Clock): void {
  door.stream.resume();
  void door.ended.then((end) => {
    if (end.type !== "lost") return;
    const told = `the connection into the environment broke: ${end.reason}`;
    socket.destroy(
      new Fault("cluster.unreached", `Cannot go on by the address: its exec ended: ${end.reason}`, { told }),
    );
  });
  socket.once("close", () => {
    door.stream.end();
    clock.after(LINGER_MS, () => door.stream.destroy());
  });
}

/** @throws when it takes longer, or `signal` aborts */
async function inTime<Value>(
  what: string,
  wait: Promise<Value>,
  { clock, ms, signal }: { readonly clock: Clock; readonly ms: number; readonly signal: AbortSignal },
): Promise<Value> {
  let value: { readonly of: Value } | undefined;
  await untilFirst({
    there: async () => {
      value = { of: await wait };
    },
    late: (over) => clock.sleep(ms, AbortSignal.any([over, signal])),
  });
  if (value === undefined) throw new Error(`Cannot wait longer than ${ms} ms for ${what}`);
  return value.of;
}
