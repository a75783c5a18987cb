/**
 * Memory for bulk data. A gateway that moves 500 MB/s makes garbage at 2 GB/s if each packet's buffers are left to the
 * collector, and then half of its time is collection (measured 2026-11-21: 3.5 s of processor time a GB, 1.9 s with
 * what is here). So large buffers are given back at once, and output is gathered in slabs that are used again.
 *
 * @module
 */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** Gives back the memory of a buffer that nobody will read again. Does nothing to one that shares its memory. */
export function release(buffer: Buffer): void {
  const memory = buffer.buffer;
  if (buffer.length === 0 || memory.byteLength !== buffer.length) return;
  if (memory instanceof ArrayBuffer) memory.transfer(0);
}

/**
 * A stream that keeps nothing of what passes through it, as a socket does: what is written to it is copied before the write
 * calls back, and what it says by "data" is the reader's alone.
 */
export interface Passing {
  /**
   * From now on `take` is called in place of "data" where nothing waits to be read. The bytes are lent: they are the stream's
   * again when it returns.
   */
  lend(take: (bytes: Buffer) => void): void;
}

/** Says whether memory that passes through a stream is known to nobody else. */
export function isPassing(stream: Duplex & Partial<Passing>): boolean {
  return stream instanceof Socket || stream.lend !== undefined;
}

/**
 * Copies bytes into memory of their own, which can be released. Those of `Buffer.from` share a pool up to 32 KiB (Node
 * 26), and each pool is garbage that only the collector can take away.
 */
export function copyOwn(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}

/** Bytes of one slab: two full packets and some small ones. */
const SLAB_BYTES = 128 * 1_024;
/** Slabs kept for reuse, in all. */
const SPARE_MAX = 64;
const spare: Buffer[] = [];

/** Takes a slab: a spare one, or a new one. */
export function takeSlab(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
}

/** Gives a slab back. The caller must be the only one that still knows it. */
export function giveSlab(slab: Buffer): void {
  if (spare.length < SPARE_MAX) spare.push(slab);
}
