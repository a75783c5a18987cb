import { expect, test } from "vitest";
import { shareWork } from "./shared-work.ts";

const never = new AbortController().signal;

test("join() tells a late caller what was said before, and everybody what is said after", async () => {
  const steps = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  const work = shareWork(async (report) => {
    report("one");
    await steps[0]?.promise;
    report("two");
    await steps[1]?.promise;
    return 7;
  });
  const early: string[] = [];
  const late: string[] = [];
  const first = work.join((line) => early.push(line), never);
  steps[0]?.resolve(undefined);
  await new Promise((resolve) => setImmediate(resolve));
  const second = work.join((line) => late.push(line), never);
  steps[1]?.resolve(undefined);
  expect(await Promise.all([first, second, work.done])).toEqual([7, 7, 7]);
  expect([early, late]).toEqual([
    ["one", "two"],
    ["one", "two"],
  ]);
});

test("join() tells nothing more to a caller that left, and the work goes on", async () => {
  const gate = Promise.withResolvers<undefined>();
  const work = shareWork(async (report) => {
    await gate.promise;
    report("late");
    return 7;
  });
  const stop = new AbortController();
  const told: string[] = [];
  const leaving = work.join((line) => told.push(line), stop.signal);
  stop.abort();
  await expect(leaving).rejects.toThrow("aborted");
  gate.resolve(undefined);
  expect(await work.done).toBe(7);
  expect(told).toEqual([]);
});

test("join() rejects for each caller with what the work throws, and with no caller nothing is unhandled", async () => {
  const work = shareWork(() => Promise.reject(new Error("Cannot do it")));
  await new Promise((resolve) => setImmediate(resolve));
  const report = (): void => undefined;
  await expect(work.join(report, never)).rejects.toThrow("Cannot do it");
  await expect(work.join(report, never)).rejects.toThrow("Cannot do it");
});
