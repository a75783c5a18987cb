import { expect, test } from "vitest";

import { HandClock } from "../../test/fakes/hand-clock.ts";
import { keep } from "./keep.ts";

test("keep() waits as long as each step says", async () => {
  const clock = new HandClock();
  const stop = new AbortController();
  const at: number[] = [];
  const waits = [100, 0, 2_000];
  const step = async () => {
    at.push(clock.now());
    return waits.shift() ?? 10_000;
  };
  const done = keep(step, { clock, onFailure: failTest }, stop.signal);
  await clock.advance(5_000);
  expect(at).toEqual([0, 100, 100, 2_100]);
  stop.abort();
  await done;
  expect(clock.pendingCount).toBe(0);
});

test("keep() doubles its wait after each failure up to the longest, and says how many in a row", async () => {
  const clock = new HandClock();
  const stop = new AbortController();
  const at: number[] = [];
  const counts: number[] = [];
  const step = async () => {
    at.push(clock.now());
    throw new Error("Cannot reach the cluster");
  };
  const onFailure = (_: unknown, failureCount: number) => counts.push(failureCount);
  const done = keep(step, { clock, longestWaitMs: 1_500, onFailure }, stop.signal);
  await clock.advance(6_000);
  stop.abort();
  await done;
  expect(at).toEqual([0, 500, 1_500, 3_000, 4_500, 6_000]);
  expect(counts).toEqual([1, 2, 3, 4, 5, 6]);
});

test("keep() forgets its failures after a step that went well", async () => {
  const clock = new HandClock();
  const stop = new AbortController();
  const counts: number[] = [];
  let stepCount = 0;
  const step = async () => {
    stepCount += 1;
    if (stepCount === 3) return 100;
    throw new Error("Cannot reach the cluster");
  };
  const onFailure = (_: unknown, failureCount: number) => counts.push(failureCount);
  const done = keep(step, { clock, onFailure }, stop.signal);
  await clock.advance(500 + 1_000 + 100 + 500);
  stop.abort();
  await done;
  expect(counts).toEqual([1, 2, 1, 2]);
});

test("keep() takes no step when the signal has aborted before", async () => {
  let stepCount = 0;
  const step = async () => {
    stepCount += 1;
    return 0;
  };
  await keep(step, { clock: new HandClock(), onFailure: failTest }, AbortSignal.abort());
  expect(stepCount).toBe(0);
});

test("keep() waits for the step under way on abort, never overlaps steps, and does not report how it stopped", async () => {
  const clock = new HandClock();
  const stop = new AbortController();
  let running = 0;
  let most = 0;
  const step = async (signal: AbortSignal) => {
    running += 1;
    most = Math.max(most, running);
    try {
      await clock.sleep(300, signal);
    } finally {
      await Promise.resolve();
      running -= 1;
    }
    return 0;
  };
  const done = keep(step, { clock, onFailure: failTest }, stop.signal);
  await clock.advance(1_000);
  expect(running).toBe(1);
  stop.abort();
  await done;
  expect({ running, most }).toEqual({ running: 0, most: 1 });
});

test("keep() rejects when the clock itself fails", async () => {
  const broken = new HandClock();
  broken.sleep = async () => {
    throw new Error("Cannot tell the time");
  };
  const done = keep(async () => 1, { clock: broken, onFailure: failTest }, new AbortController().signal);
  await expect(done).rejects.toThrow("Cannot tell the time");
});

function failTest(error: unknown): void {
  throw new Error("Cannot be called here", { cause: error });
}
