import { expect, test } from "vitest";
import { unlessAborted } from "./unless-aborted.ts";

test("unlessAborted() gives what the promise gives", async () => {
  const { signal } = new AbortController();
  expect(await unlessAborted(Promise.resolve(7), signal)).toBe(7);
  await expect(unlessAborted(Promise.reject(new Error("Cannot do it")), signal)).rejects.toThrow("Cannot do it");
});

test("unlessAborted() rejects with the reason once the signal aborts, whatever becomes of the promise", async () => {
  const work = Promise.withResolvers<undefined>();
  const stop = new AbortController();
  const waiting = unlessAborted(work.promise, stop.signal);
  stop.abort(new Error("Told to stop"));
  await expect(waiting).rejects.toThrow("Told to stop");
  await expect(unlessAborted(work.promise, stop.signal)).rejects.toThrow("Told to stop");
  work.reject(new Error("Nobody looks")); // and no unhandled rejection comes of it
});
