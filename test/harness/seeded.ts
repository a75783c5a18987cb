/**
 * Numbers and bytes that look random and are the same for the same seed. The seed is printed; `SLIPWAY_TEST_SEED` repeats
 * a run, as far as the speed of the machine lets it.
 *
 * @module
 */
import { createCipheriv, createHash, randomInt } from "node:crypto";

export interface Seeded {
  readonly seed: number;
  /** A whole number, `from` and `to` included. */
  between(from: number, to: number): number;
  /** Cannot be compressed. */
  bytes(count: number): Buffer;
}

/** Begins a sequence and prints its seed under a name. */
export function openSeeded(name: string): Seeded {
  const given = Number(process.env["SLIPWAY_TEST_SEED"]);
  const seed = Number.isSafeInteger(given) && given > 0 ? given : randomInt(1, 2 ** 31);
  process.stderr.write(`${name}: SLIPWAY_TEST_SEED=${seed}\n`);
  const key = createHash("sha256").update(`${name} ${seed}`).digest();
  const stream = createCipheriv("aes-256-ctr", key, Buffer.alloc(16));
  const bytes = (count: number): Buffer => stream.update(Buffer.alloc(count));
  return { seed, bytes, between: (from, to) => from + (bytes(6).readUIntBE(0, 6) % (to - from + 1)) };
}
