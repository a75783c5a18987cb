import { PassThrough } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readCall } from "./read-call.ts";

test("readCall() reads up to an empty line, or to the end, however it is cut", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(30)), fc.boolean(), async (cuts, ends) => {
      const stream = new PassThrough();
      const text = "git-credential\npath=acme/shöp\n";
      const bytes = Buffer.from(ends ? text : `${text}\n`);
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const read = readCall(stream);
      for (const [index, end] of at.slice(1).entries()) stream.write(bytes.subarray(at[index], end));
      if (ends) stream.end();
      expect((await read)?.trimEnd()).toBe(text.trimEnd());
    }),
  );
});

test("readCall() gives up on more than 4 KiB, and on who hangs up", async () => {
  const long = new PassThrough();
  const reading = readCall(long);
  long.write("x".repeat(4_096));
  long.write("x");
  expect(await reading).toBeUndefined();
  const gone = new PassThrough();
  const waiting = readCall(gone);
  gone.write("git-credential\n");
  gone.destroy();
  expect(await waiting).toBeUndefined();
});
