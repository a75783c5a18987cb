/**
 * Standard input and output of a program in a pod as a `Duplex` over a connection of WebSocket frames, and how the program
 * ended.
 *
 * Bytes wait at most in one place for each direction: what we have not sent is kept below `HIGH_BYTES` by not taking
 * more, what is not read from us by not reading the socket. A connection that says nothing is asked by pings, and given
 * up. Made by `exec.ts`; how a connection is opened is not its business.
 *
 * @module
 */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";

import type { Clock } from "../../../base/clock.ts";
import { Fault } from "../../../base/fault.ts";
import type { Log } from "../../../base/log.ts";
import type { ExecEnd } from "./cluster-api.ts";
import { CHANNEL, giveMessage, makeClose, makeMessages, V5 } from "./exec-channels.ts";
import { readExecStatus } from "./exec-status.ts";
import { FrameReader, InvalidFrame, NO_CLOSE, writeClose, writePing, writePong } from "./frames.ts";
import type { Link, LinkReader } from "./upgrade.ts";

/** Bytes given to the socket and not yet taken by the kernel, above which no more are taken. Four messages. */
const HIGH_BYTES = 256 * 1_024;

/** Bytes kept for the reader before the socket is paused. */
const READ_BYTES = 256 * 1_024;

/** Bytes of standard error kept, the last ones. */
const STDERR_BYTES = 16 * 1_024;

/** Most bytes of a status; they are some hundred. */
const STATUS_BYTES = 64 * 1_024;

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
export class ExecStream extends Duplex implements LinkReader {
  /** Never rejects. */
  readonly ended: Promise<ExecEnd>;
  readonly canEndInput: boolean;
  readonly #socket: Socket;
  readonly #frames: FrameReader;
  #lent: ((bytes: Buffer) => void) | undefined;
  /** Of the message that is being read. */
  #channel: number | undefined;
  readonly #options: ExecStreamOptions;
  /** Called with the end; does nothing the second time. */
  readonly #settle: (end: ExecEnd) => void;
  #end: ExecEnd | undefined;
  /** The status, from when it was said until the connection closes or lingers too long. */
  #status: ExecEnd | undefined;
  #statusBytes = Buffer.alloc(0);
  #stderr = Buffer.alloc(0);
  #sendingBytes = 0;
  /** Of a write whose bytes are above the mark. */
  #resumeWriting: (() => void) | undefined;
  /** Whether anything came since the last ping. */
  #isHeard = true;
  /** Nothing is read: the reader does not take what there is. */
  #isPaused = false;
  #silentPings = 0;
  #wasSending = false;
  #stopTimer: () => void = () => {};

  constructor({ socket, protocol }: Link, options: ExecStreamOptions) {
    super({ readableHighWaterMark: READ_BYTES, writableHighWaterMark: HIGH_BYTES });
    this.#socket = socket;
    this.#options = options;
    this.canEndInput = protocol === V5;
    const { promise, resolve } = Promise.withResolvers<ExecEnd>();
    [this.ended, this.#settle] = [promise, resolve];
    this.#frames = new FrameReader({
      data: (piece, isFirst) => this.#take(piece, isFirst),
      end: () => this.#endMessage(),
      ping: (payload) => {
        // One that asks and takes no answers gets none.
        if (socket.writable && !socket.writableNeedDrain) socket.write(writePong(payload));
      },
      pong: () => {},
      close: (code) => {
        socket.end(writeClose());
        this.#finish(tellClose(code));
      },
    });
    socket.on("error", ({ message }) => this.#finish(message));
    for (const event of ["end", "close"]) socket.on(event, () => this.#finish(tellClose(NO_CLOSE)));
    this.#stopTimer = options.clock.after(PING_MS, () => this.#ping());
  }

  arrived(bytes: Buffer): void {
    this.#isHeard = true;
    try {
      this.#frames.take(bytes);
    } catch (error) {
      if (!(error instanceof InvalidFrame)) throw error;
      this.#finish(error.message);
    }
  }

  /** See `Passing` of `src/ssh/memory.ts`. */
  lend(take: (bytes: Buffer) => void): void {
    this.#lent = take;
  }

  /** Last 16 KiB of standard error. */
  stderr(): string {
    return this.#stderr.toString("utf8");
  }

  override _read(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
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
    if (this.canEndInput && this.#socket.writable) this.#socket.write(makeClose(CHANNEL.stdin));
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#conclude({ type: "lost", reason: error?.message ?? "we closed the connection" });
    // Not the closing handshake: it would wait for what the other side has still to say. The kernel still sends what it has.
    this.#socket.destroy();
    done(error);
  }

  #send(chunks: readonly Buffer[], done: () => void): void {
    for (const message of makeMessages(chunks)) {
      this.#sendingBytes += message.length;
      // An error is told by "error" too; what a program that has ended did not read is no error, as with a pipe's buffer.
      if (this.#socket.writable) this.#socket.write(message, () => this.#sent(message));
      else this.#sent(message);
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
    if (this.#sendingBytes < HIGH_BYTES / 2) this.#writeOn();
  }

  #writeOn(): void {
    const resume = this.#resumeWriting;
    this.#resumeWriting = undefined;
    resume?.();
  }

  #take(piece: Buffer, isFirst: boolean): void {
    if (isFirst) this.#channel = piece[0];
    const bytes = isFirst ? piece.subarray(1) : piece;
    // An empty message begins each channel of a v4 server.
    if (bytes.length === 0 || this.destroyed) return;
    if (this.#channel === CHANNEL.stdout) this.#give(bytes);
    else if (this.#channel === CHANNEL.stderr) this.#stderr = append(this.#stderr, bytes).subarray(-STDERR_BYTES);
    else if (this.#channel === CHANNEL.status)
      this.#statusBytes = append(this.#statusBytes, bytes).subarray(0, STATUS_BYTES);
  }

  #endMessage(): void {
    this.#channel = undefined;
    if (this.#statusBytes.length === 0 || this.#status !== undefined) return;
    this.#status = readExecStatus(this.#statusBytes.toString("utf8"));
    this.#stopTimer();
    this.#stopTimer = this.#options.clock.after(LINGER_MS, () => this.#socket.destroy());
  }

  #give(bytes: Buffer): void {
    const isAwaited = this.readableFlowing === true && this.readableLength === 0;
    if (isAwaited && this.#lent !== undefined) {
      this.#lent(bytes);
    } else if (!this.push(Buffer.from(bytes)) && !this.#isPaused) {
      this.#isPaused = true;
      this.#socket.pause();
    }
  }

  /** Says what became of the program, the first time. */
  #conclude(end: ExecEnd): void {
    this.#end ??= end;
    this.#stopTimer();
    this.#settle(end);
  }

  /** The connection is over: as it should be after the status, and else for a reason. */
  #finish(reason: string): void {
    this.#writeOn();
    if (this.#end !== undefined) return;
    const end = this.#status ?? { type: "lost", reason };
    this.#conclude(end);
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
    const isDeaf = this.#isPaused;
    this.#silentPings = this.#isHeard || isDeaf ? 0 : this.#silentPings + 1;
    const most = this.#options.mayStall && this.#sendingBytes > 0 ? STALLED_PINGS : SILENT_PINGS;
    if (this.#silentPings >= most) {
      const seconds = ((this.#silentPings + 1) * PING_MS) / 1_000;
      this.#finish(`the cluster has been silent for ${seconds} s`);
      return;
    }
    this.#isHeard = false;
    this.#wasSending = this.#sendingBytes > 0;
    if (this.#socket.writable) this.#socket.write(writePing());
    this.#stopTimer = this.#options.clock.after(PING_MS, () => this.#ping());
  }
}

function append(bytes: Buffer, more: Buffer): Buffer<ArrayBuffer> {
  return Buffer.concat([bytes, more]);
}

function tellClose(code: number): string {
  if (code === NO_CLOSE) return "the cluster closed the connection";
  return `the cluster closed the connection with code ${code} and without a status`;
}
