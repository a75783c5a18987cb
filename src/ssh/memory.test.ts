import { expect, test } from "vitest";
import { Socket } from "node:net";
import { PassThrough } from "node:stream";
import { copyOwn, giveSlab, isPassing, release, takeSlab } from "./memory.ts";

test.each([20_000, 200])("release() gives back a buffer of %i bytes that owns its memory", (bytes) => {
  const buffer = Buffer.allocUnsafeSlow(bytes);
  release(buffer);
  expect(buffer).toHaveLength(0);
});

test("isPassing() knows sockets and streams that lend, and leaves the memory of others alone", () => {
  expect(isPassing(new Socket())).toBe(true);
  expect(isPassing(Object.assign(new PassThrough(), { lend: () => {} }))).toBe(true);
  expect(isPassing(new PassThrough())).toBe(false);
});

test("copyOwn() makes a copy that can be released, however small", () => {
  const copy = copyOwn(Buffer.from("a word"));
  expect(copy.toString()).toBe("a word");
  release(copy);
  expect(copy).toHaveLength(0);
});

test.each([
  ["a view of a larger one", Buffer.allocUnsafeSlow(30_000).subarray(0, 20_000)],
  ["a buffer of the pool", Buffer.from("pooled")],
  ["shared memory", Buffer.from(new SharedArrayBuffer(20_000))],
  ["an empty one", Buffer.alloc(0)],
])("release() leaves %s alone", (_case, buffer) => {
  const before = Buffer.from(buffer);
  release(buffer);
  expect(buffer.equals(before)).toBe(true);
});

test("takeSlab() gives no slab to two at once, and takes one up again once it was given back", () => {
  const first = takeSlab();
  const second = takeSlab();
  expect(first).not.toBe(second);
  giveSlab(first);
  expect(takeSlab()).toBe(first);
});
