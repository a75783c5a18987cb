/**
 * Standard input and output of a program in a pod as a `Duplex` over an open WebSocket, and how the program ended.
 *
 * Bytes wait at most in one place for each direction: what we have not sent is kept below `HIGH_BYTES` by not taking
 * more, what is not read from us by not reading the socket. A connection that says nothing is asked by pings, and given
 * up. Made by `exec.ts`; how a connection is opened is not its business.
 *
 * @module
 */
import { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";

import type { Clock } from "../../../base/clock.ts";
import { Fault } from "../../../base/fault.ts";
import type { Log } from "../../../base/log.ts";
import type { ExecEnd } from "./cluster-api.ts";
import { CHANNEL, giveMessage, makeClose, makeMessages, V5 } from "./exec-channels.ts";
import { readExecStatus } from "./exec-status.ts";

/** Bytes given to the socket and not yet taken by the kernel, above which no more are taken. Four messages. */
const HIGH_BYTES = 256 * 1_024;

/** Bytes kept for the reader before the socket is paused. */
const READ_BYTES = 256 * 1_024;

/** Bytes of standard error kept, the last ones. */
const STDERR_BYTES = 16 * 1_024;

/** How often the server is asked for a sign of life. */
const PING_MS = 3_000;

/** Intervals without any sign before it is given up: one that dies right after a sign is noticed after 9 s. */
const SILENT_PINGS = 2;

/** The same for a program that may leave its input unread, and so the ping behind it: a minute. */
const STALLED_PINGS = 20;

/** How long a server may keep the connection open after the status, which is its last word. */
const LINGER_MS = 1_000;

export interface ExecStreamOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Of what, for messages. */
  readonly name: string;
  /** Whether the program may leave its input unread for long. */
  readonly mayStall: boolean;
}

/** See the module. */
export class ExecStream extends Duplex {
  /** Never rejects. */
  readonly ended: Promise<ExecEnd>;
  readonly canEndInput: boolean;
  /** The number of the channel; messages copy what is written. See `Passing` of `src/ssh/memory.ts`. */
  readonly headBytes = 1;
  readonly #socket: WebSocket;
  readonly #options: ExecStreamOptions;
  /** Called with the end; does nothing the second time. */
  readonly #settle: (end: ExecEnd) => void;
  #end: ExecEnd | undefined;
  /** The status, from when it was said until the connection closes or lingers too long. */
  #status: ExecEnd | undefined;
  #stderr = Buffer.alloc(0);
  #sendingBytes = 0;
  /** Of a write whose bytes are above the mark. */
  #resumeWriting: (() => void) | undefined;
  /** Whether anything came since the last ping. */
  #isHeard = true;
  #silentPings = 0;
  #wasSending = false;
  #stopTimer: () => void = () => {};

  constructor(socket: WebSocket, options: ExecStreamOptions) {
    super({ readableHighWaterMark: READ_BYTES, writableHighWaterMark: HIGH_BYTES });
    this.#socket = socket;
    this.#options = options;
    this.canEndInput = socket.protocol === V5;
    const { promise, resolve } = Promise.withResolvers<ExecEnd>();
    [this.ended, this.#settle] = [promise, resolve];
    socket.on("message", (data, isBinary) => this.#take(data, isBinary));
    socket.on("pong", () => (this.#isHeard = true));
    socket.on("ping", () => (this.#isHeard = true));
    let problem: string | undefined;
    socket.on("error", (error) => (problem = error.message));
    socket.on("close", (code) => this.#finish(this.#status ?? { type: "lost", reason: tellClose(code, problem) }));
    this.#stopTimer = options.clock.after(PING_MS, () => this.#ping());
  }

  /** Last 16 KiB of standard error. */
  stderr(): string {
    return this.#stderr.toString("utf8");
  }

  override _read(): void {
    if (!this.#socket.isPaused) return;
    // What came before the pause is no sign of what is now.
    [this.#isHeard, this.#silentPings] = [true, 0];
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.canEndInput) this.#socket.send(makeClose(CHANNEL.stdin), () => {});
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#conclude({ type: "lost", reason: error?.message ?? "we closed the connection" });
    // Not the closing handshake: it would wait for what the other side has still to say. The kernel still sends what it has.
    this.#socket.terminate();
    done(error);
  }

  #send(chunks: readonly Buffer[], done: () => void): void {
    for (const message of makeMessages(chunks)) {
      this.#sendingBytes += message.length;
      // An error is told by "close" too; what a program that has ended did not read is no error, as with a pipe's buffer.
      this.#socket.send(message, () => this.#sent(message));
    }
    // Not at once: what is written in the same turn is then gathered by `_writev` instead of sent piece by piece.
    if (this.#sendingBytes < HIGH_BYTES) process.nextTick(done);
    else this.#resumeWriting = done;
  }

  #sent(message: Buffer): void {
    this.#sendingBytes -= message.length;
    giveMessage(message);
    // The kernel had no room and has some now: the other side took bytes.
    if (this.#wasSending) this.#isHeard = true;
    if (this.#sendingBytes >= HIGH_BYTES / 2 || this.#resumeWriting === undefined) return;
    const resume = this.#resumeWriting;
    this.#resumeWriting = undefined;
    resume();
  }

  #take(data: RawData, isBinary: boolean): void {
    this.#isHeard = true;
    if (!Buffer.isBuffer(data) || data.length === 0) return; // `binaryType` is "nodebuffer"
    if (!isBinary || this.destroyed) return;
    const [channel] = data;
    const bytes = data.subarray(1);
    if (channel === CHANNEL.stdout) {
      // An empty message begins each channel of a v4 server.
      if (bytes.length > 0 && !this.push(bytes)) this.#socket.pause();
    } else if (channel === CHANNEL.stderr) {
      this.#stderr = Buffer.concat([this.#stderr, bytes]).subarray(-STDERR_BYTES);
    } else if (channel === CHANNEL.status && bytes.length > 0 && this.#status === undefined) {
      this.#status = readExecStatus(bytes.toString("utf8"));
      this.#stopTimer();
      this.#stopTimer = this.#options.clock.after(LINGER_MS, () => this.#socket.terminate());
    }
  }

  /** Says what became of the program, once. */
  #conclude(end: ExecEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#stopTimer();
    this.#settle(end);
  }

  /** The connection is over. */
  #finish(end: ExecEnd): void {
    this.#conclude(end);
    this.#resumeWriting?.();
    if (this.destroyed) return;
    if (end.type !== "lost") {
      this.once("end", () => this.destroy());
      this.push(null);
      return;
    }
    this.#options.log.info("exec.lost", { of: this.#options.name, reason: end.reason });
    const told = `the connection into the environment broke: ${end.reason}`;
    const message = `Cannot go on with the program in pod ${this.#options.name}: ${end.reason}`;
    this.destroy(new Fault("cluster.unreached", message, { told }));
  }

  /**
   * Looks for a sign of life and asks for the next. Counts its own turns and not time: a process that was held up has read
   * what came in the meantime before it has missed two. While nobody reads from us nothing can be heard.
   */
  #ping(): void {
    const isDeaf = this.#socket.isPaused;
    this.#silentPings = this.#isHeard || isDeaf ? 0 : this.#silentPings + 1;
    const most = this.#options.mayStall && this.#sendingBytes > 0 ? STALLED_PINGS : SILENT_PINGS;
    if (this.#silentPings >= most) {
      const seconds = ((this.#silentPings + 1) * PING_MS) / 1_000;
      this.#finish({ type: "lost", reason: `the cluster has been silent for ${seconds} s` });
      return;
    }
    this.#isHeard = false;
    this.#wasSending = this.#sendingBytes > 0;
    this.#socket.ping(undefined, undefined, () => {});
    this.#stopTimer = this.#options.clock.after(PING_MS, () => this.#ping());
  }
}

/** RFC 6455 section 7.4: 1006 stands for no closing frame at all. */
function tellClose(code: number, problem: string | undefined): string {
  if (problem !== undefined) return problem;
  if (code === 1_006) return "the cluster closed the connection";
  return `the cluster closed the connection with code ${code} and without a status`;
}
