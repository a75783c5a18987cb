/**
 * What a test process holds in memory: what is garbage is collected first, or it would be a matter of luck how much of that
 * counts, and of what else has run in the process.
 *
 * @module
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Bytes on V8's heap that somebody still knows. */
export function heldBytes(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc()");
  return process.memoryUsage().heapUsed;
}
