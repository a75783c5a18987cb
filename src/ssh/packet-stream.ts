/**
 * Packets on a byte stream: what comes in is cut into opened packets, what goes out is sealed and gathered so that each
 * turn of the event loop costs one system call. Knows nothing of messages.
 *
 * Memory is bounded: input by one packet and one read, output by what its user seals after `isFull` turned true. A peer
 * that asks and does not take its answers is not read until it has.
 *
 * Called by `transport.ts` alone.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { makePlainOpener, plainSealer, type Opener, type Sealer } from "./ciphers.ts";
import { copyOwn, giveSlab, isPassing, type Passing, release, takeSlab } from "./memory.ts";

export interface PacketHandler {
  /**
   * Looks for the identification at the head of the input, until it is found.
   *
   * @returns where the packets begin, or `undefined` until all of it is there
   */
  identify(input: Buffer): number | undefined;
  /** One opened packet: `padding_length, payload, padding`. The view may be kept. */
  packet(body: Buffer, sequence: number): void;
  /** A read is done with. */
  turnEnded(): void;
  /** Something thrown while the input was read. */
  failed(error: unknown): void;
  /** `isFull` is false, and may have been true before. */
  drained(): void;
  /** The stream is at its end, for the first of these reasons. May be called more than once. */
  closed(text: string, cause?: unknown): void;
}

/** Output below this is copied out of its slab, or a peer that reads nothing would hold 128 KiB with each keystroke. */
const COPY_BELOW_BYTES = 32 * 1_024;
/**
 * Bytes taken in one turn of the event loop before others get theirs (libuv reads up to 2 MiB without a pause). With twice
 * as much the p99 of an echo beside a download was 5.8 ms instead of 4.2, and bulk no faster (bench/, 2 cores).
 */
const TURN_BYTES = 128 * 1_024;
/** A read this long means that more is waiting: the size of libuv's buffer. */
const FULL_READ_BYTES = 65_536;
const NOTHING = Buffer.alloc(0);

export interface PacketLimits {
  /** Longest packet taken. */
  readonly maxBytes: number;
  /** Unsent output above which senders must wait; the kernel's own buffers come on top. */
  readonly fullBytes: number;
}

export class PacketStream {
  limits: PacketLimits;
  /** Bytes sealed and opened since the sealer last changed. */
  bytesSinceKeys = 0;
  sealer: Sealer = plainSealer;

  readonly #stream: Duplex;
  /** Whether the memory of what we read and write is ours to use again. */
  readonly #isPassing: boolean;
  readonly #handler: PacketHandler;
  #opener: Opener = makePlainOpener();
  #sendSequence = 0;
  #receiveSequence = 0;
  #isIdentified = false;
  #hasStopped = false;
  /** Before the identification was found: all that came. Then room for the packet that has not arrived whole. */
  #part: Buffer = NOTHING;
  /** How much of the packet is there. */
  #partBytes = 0;
  /** What this turn of the event loop has sealed so far; one write takes it all. */
  #slab: Buffer | undefined;
  #slabBytes = 0;
  /** The reasons not to read. */
  #isPaused = false;
  #isYielding = false;
  #isAnswering = false;
  #turnBytes = 0;
  /** Set while a packet is sealed or taken: neither may begin inside the other, which streams in memory would do. */
  #isBusy = false;
  #late: Buffer[] = [];
  /** Packets sealed while one was taken. */
  #answerCount = 0;

  constructor(stream: Duplex & Partial<Passing>, limits: PacketLimits, handler: PacketHandler) {
    this.#stream = stream;
    this.#isPassing = isPassing(stream);
    this.limits = limits;
    this.#handler = handler;
    stream.on("data", (chunk: Buffer) => {
      this.#take(chunk, { isLent: false });
    });
    stream.lend?.((bytes) => {
      this.#take(bytes, { isLent: true });
    });
    stream.on("drain", () => {
      this.#isAnswering = false;
      this.#read();
      this.#handler.drained();
    });
    stream.on("end", () => {
      handler.closed("the peer closed the connection");
    });
    stream.on("error", (cause) => {
      handler.closed("the connection broke", cause);
    });
    stream.on("close", () => {
      handler.closed("the connection closed");
    });
    stream.resume(); // it may come paused: behind a PROXY header it does
    if (stream.destroyed) {
      process.nextTick(() => {
        handler.closed("the connection closed");
      });
    }
  }

  /** Whether senders must wait for `drained()`. */
  get isFull(): boolean {
    // A stream with a high water mark above ours tells nobody when it drains below that.
    return this.#stream.writableNeedDrain && this.#stream.writableLength + this.#slabBytes > this.limits.fullBytes;
  }

  /** Sends bytes as they are: the identification. */
  writePlain(text: string): void {
    this.#write(Buffer.from(text));
  }

  /** Seals a body and sends it. */
  seal(body: Buffer): void {
    if (!this.#stream.writable) return;
    const wasBusy = this.#isBusy;
    if (wasBusy) this.#answerCount++;
    this.#isBusy = true;
    this.sealer.seal(body, this.#sendSequence, this.#write);
    this.#isBusy = wasBusy;
    this.#sendSequence = (this.#sendSequence + 1) >>> 0;
    this.bytesSinceKeys += body.length;
  }

  /** Seals with new keys from the next packet on. */
  startSealing(sealer: Sealer, resetsSequence: boolean): void {
    this.sealer = sealer;
    this.bytesSinceKeys = 0;
    if (resetsSequence) this.#sendSequence = 0;
  }

  /** Opens with new keys from the next packet on. */
  startOpening(opener: Opener, resetsSequence: boolean): void {
    this.#opener = opener;
    if (resetsSequence) this.#receiveSequence = 0;
  }

  /** Takes no more input until `resume`; what was read already still comes. */
  pause(): void {
    this.#isPaused = true;
    this.#stream.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#read();
  }

  /** Takes no more packets and closes the stream once what was sealed has left. */
  end(): void {
    this.#hasStopped = true;
    this.#part = NOTHING;
    this.#flush();
    this.#stream.resume(); // unread input would hold back the end
    this.#stream.end();
  }

  destroy(): void {
    this.#hasStopped = true;
    this.#stream.destroy();
  }

  /** Calls back when the stream is gone, at once if it is. */
  onceClosed(then: () => void): void {
    if (this.#stream.destroyed) then();
    else this.#stream.once("close", then);
  }

  readonly #write = (piece: Buffer): void => {
    for (let at = 0; at < piece.length;) {
      if (this.#slab === undefined) {
        this.#slab = takeSlab();
        process.nextTick(this.#flushSoon);
      }
      const copied = piece.copy(this.#slab, this.#slabBytes, at);
      at += copied;
      this.#slabBytes += copied;
      if (this.#slabBytes === this.#slab.length) this.#flush();
    }
    release(piece);
  };

  /** What is much already waits for what the rest of this turn of the event loop brings: fewer and larger writes. */
  readonly #flushSoon = (): void => {
    if (this.#slabBytes < COPY_BELOW_BYTES) this.#flush();
    else setImmediate(this.#flush);
  };

  readonly #flush = (): void => {
    const slab = this.#slab;
    if (slab === undefined) return;
    const filled = slab.subarray(0, this.#slabBytes);
    this.#slab = undefined;
    this.#slabBytes = 0;
    if (!this.#stream.writable) return;
    // A socket has copied the bytes to the kernel when it calls back; other streams may hand on the very buffer.
    const isCopied = !this.#isPassing || filled.length < COPY_BELOW_BYTES;
    const sent = isCopied ? copyOwn(filled) : filled;
    if (isCopied) giveSlab(slab);
    this.#stream.write(sent, () => {
      if (!isCopied) giveSlab(slab);
      else if (this.#isPassing) release(sent);
    });
  };

  #take(chunk: Buffer, { isLent }: { isLent: boolean }): void {
    if (this.#isBusy || this.#late.length > 0) {
      this.#late.push(isLent ? copyOwn(chunk) : chunk);
      if (this.#late.length === 1) process.nextTick(this.#takeLate);
      return;
    }
    if (this.#hasStopped) return;
    this.#yieldTurn(chunk.length);
    this.#isBusy = true;
    const answersBefore = this.#answerCount;
    this.#takeInput(chunk);
    if (this.#isPassing && !isLent) release(chunk);
    this.#isBusy = false;
    // Whoever makes us answer and does not read the answers would fill our memory with them.
    if (this.#answerCount > answersBefore && this.isFull) {
      this.#isAnswering = true;
      this.#stream.pause();
    }
  }

  readonly #takeLate = (): void => {
    const late = this.#late;
    this.#late = [];
    for (const chunk of late) this.#take(chunk, { isLent: false });
  };

  #takeInput(chunk: Buffer): void {
    try {
      const begin = this.#isIdentified ? 0 : this.#findBegin(chunk);
      this.#takePackets(chunk, this.#takePart(chunk, begin));
      this.#handler.turnEnded();
    } catch (error) {
      this.#handler.failed(error);
    }
  }

  /** @returns where in the chunk the packets begin */
  #findBegin(chunk: Buffer): number {
    const head = this.#part.length === 0 ? chunk : Buffer.concat([this.#part, chunk]);
    const begin = this.#handler.identify(head);
    this.#isIdentified = begin !== undefined;
    this.#part = begin === undefined ? copyOwn(head) : NOTHING;
    return begin === undefined ? chunk.length : chunk.length - (head.length - begin);
  }

  /** Takes what belongs to the packet that has begun. @returns where in the chunk the next one begins */
  #takePart(chunk: Buffer, begin: number): number {
    let at = begin;
    // More than once: only when its length is there do we know how much belongs to it.
    while (this.#isIdentified && this.#part.length > 0 && at < chunk.length && !this.#hasStopped) {
      const part = this.#part;
      const copied = chunk.copy(part, this.#partBytes, at);
      at += copied;
      this.#partBytes += copied;
      if (this.#partBytes < part.length) break;
      this.#part = NOTHING;
      if (this.#takePacket(part, 0) === undefined) this.#keep(part);
      release(part);
    }
    return at;
  }

  #takePackets(chunk: Buffer, begin: number): void {
    let at = begin;
    while (at < chunk.length && !this.#hasStopped) {
      const next = this.#takePacket(chunk, at);
      if (next === undefined) {
        this.#keep(chunk.subarray(at));
        break;
      }
      at = next;
    }
  }

  /** @returns where the next packet begins, `undefined` while this one is not whole */
  #takePacket(input: Buffer, at: number): number | undefined {
    const opener = this.#opener;
    const body = opener.open(input, at, this.#receiveSequence, this.limits.maxBytes);
    if (body === undefined) return undefined;
    const { next } = opener;
    const sequence = this.#receiveSequence;
    this.#receiveSequence = (sequence + 1) >>> 0;
    this.bytesSinceKeys += body.length;
    this.#handler.packet(body, sequence);
    return next;
  }

  /** Keeps the beginning of a packet, with room for as much of the rest as is known to come. */
  #keep(begun: Buffer): void {
    this.#part = Buffer.allocUnsafeSlow(this.#opener.needs);
    this.#partBytes = begun.copy(this.#part);
  }

  /** Lets other connections have their turn of the event loop when this one has more to read than fits in one. */
  #yieldTurn(bytes: number): void {
    this.#turnBytes = bytes < FULL_READ_BYTES ? 0 : this.#turnBytes + bytes;
    if (this.#turnBytes < TURN_BYTES || this.#isYielding) return;
    this.#isYielding = true;
    this.#turnBytes = 0;
    this.#stream.pause();
    setImmediate(() => {
      this.#isYielding = false;
      this.#read();
    });
  }

  /** Reads on, if nothing is against it. */
  #read(): void {
    if (!this.#isPaused && !this.#isYielding && !this.#isAnswering) this.#stream.resume();
  }
}
