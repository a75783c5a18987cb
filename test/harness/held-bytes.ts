/**
 * What a test process holds in memory: what is garbage is collected first, or it would be a matter of luck how much of that
 * counts, and of what else has run in the process.
 *
 * @module
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Bytes that somebody still knows. */
export interface HeldBytes {
  /** On V8's heap. */
  readonly heap: number;
  /** Of buffers. */
  readonly buffers: number;
}

export function heldBytes(): HeldBytes {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc()");
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed, buffers: arrayBuffers };
}
