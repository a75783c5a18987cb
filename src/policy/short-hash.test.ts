import fc from "fast-check";
import { expect, test } from "vitest";
import { SHORT_HASH_LENGTH, shortHash } from "./short-hash.ts";

// Test vectors of the authors of FNV: 32 bit FNV-1a of "", "a" and "foobar".
test.each([
  ["", 0x811c9dc5],
  ["a", 0xe40c292c],
  ["foobar", 0xbf9cf968],
])("shortHash() is FNV-1a in base 36 when given %j", (text, hash) => {
  expect(shortHash(text)).toBe(hash.toString(36).padStart(SHORT_HASH_LENGTH, "0"));
});

test("shortHash() is seven safe characters whatever the text", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }), (text) => {
      expect(shortHash(text)).toMatch(/^[0-9a-z]{7}$/);
    }),
  );
});
