/**
 * A short name for a long text: stable for ever, the same on every machine, and not a secret. For tags and shortened
 * names that must differ where the texts differ; never where somebody gains by making two texts collide.
 *
 * @module
 */

/** FNV-1a offset basis and prime for 32 bits (http://www.isthe.com/chongo/tech/comp/fnv/). */
const BASIS = 0x811c9dc5;
const PRIME = 0x01000193;

/** Digits it takes to write 32 bits in base 36. */
export const SHORT_HASH_LENGTH = 7;

/** Makes seven characters of `[0-9a-z]` of a text: FNV-1a of its UTF-8 bytes, in base 36. */
export function shortHash(text: string): string {
  let hash = BASIS;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, PRIME);
  return (hash >>> 0).toString(36).padStart(SHORT_HASH_LENGTH, "0");
}
