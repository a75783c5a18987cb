/**
 * Makes hostile bytes out of good ones, the same for the same seed.
 *
 * @module
 */
import type { Seeded } from "../harness/seeded.ts";

/** Numbers that length fields and counters go wrong at. */
const EDGES = [0, 1, 4, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffb, 0xffffffff];

/** Changes a message in one to four places: bits, lengths, cuts, repetitions, junk. What comes out is never the same. */
export function mutate(good: Buffer, seeded: Seeded): Buffer {
  let bytes = good;
  while (bytes.equals(good)) {
    for (let left = seeded.between(1, 4); left > 0; left--) bytes = mutateOnce(bytes, seeded);
  }
  return bytes;
}

function mutateOnce(bytes: Buffer, seeded: Seeded): Buffer {
  const at = seeded.between(0, Math.max(0, bytes.length - 1));
  const length = seeded.between(0, Math.min(32, bytes.length - at));
  switch (seeded.between(0, 6)) {
    case 0:
      return Buffer.from(bytes.map((byte, index) => (index === at ? byte ^ (1 << seeded.between(0, 7)) : byte)));
    case 1: {
      if (bytes.length < at + 4) return bytes;
      const changed = Buffer.from(bytes);
      changed.writeUInt32BE(EDGES[seeded.between(0, EDGES.length - 1)] ?? 0, at);
      return changed;
    }
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    case 5:
      return Buffer.concat([bytes.subarray(0, at), seeded.bytes(seeded.between(1, 64)), bytes.subarray(at)]);
    default:
      return Buffer.concat([bytes, seeded.bytes(seeded.between(1, 40))]);
  }
}
