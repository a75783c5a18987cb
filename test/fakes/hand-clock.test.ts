import { describe, expect, test } from "vitest";

import { makeClock } from "../../src/base/clock.ts";
import { HandClock } from "./hand-clock.ts";

const hand = new HandClock(1_700_000_000_000);
const real = makeClock();

/** The contract of a clock, which the one made by hand and the machine's both keep. */
describe.each([
  { name: "HandClock", clock: hand, pass: (ms: number) => hand.advance(ms) },
  { name: "makeClock()", clock: real, pass: (ms: number) => real.sleep(ms + 15) },
])("$name", ({ clock, pass }) => {
  test("sleep() resolves after its time and not before", async () => {
    let awake = false;
    const slept = clock.sleep(40).then(() => (awake = true));
    await pass(10);
    expect(awake).toBe(false);
    await pass(30);
    await slept;
    expect(awake).toBe(true);
  });

  test("sleep() rejects with an AbortError when its signal aborts, even before", async () => {
    const stop = new AbortController();
    const slept = clock.sleep(10_000, stop.signal);
    stop.abort();
    await expect(slept).rejects.toMatchObject({ name: "AbortError" });
    await expect(clock.sleep(10_000, stop.signal)).rejects.toMatchObject({ name: "AbortError" });
  });

  test("after() calls once, unless called off before", async () => {
    const calls: string[] = [];
    clock.after(20, () => calls.push("kept"));
    const callOff = clock.after(20, () => calls.push("called off"));
    callOff();
    await pass(60);
    expect(calls).toEqual(["kept"]);
  });

  test("now() and elapsed() both move on with time", async () => {
    const before = { now: clock.now(), elapsed: clock.elapsed() };
    await pass(30);
    expect(clock.now() - before.now).toBeGreaterThanOrEqual(30);
    expect(clock.elapsed() - before.elapsed).toBeGreaterThanOrEqual(30);
  });
});

test("HandClock.advance() rings alarms in the order of their time, those set on the way included", async () => {
  const clock = new HandClock();
  const rung: [string, number][] = [];
  clock.after(30, () => rung.push(["c", clock.now()]));
  clock.after(10, () => {
    rung.push(["a", clock.now()]);
    clock.after(10, () => rung.push(["b", clock.now()]));
  });
  await clock.advance(25);
  expect(rung).toEqual([
    ["a", 10],
    ["b", 20],
  ]);
  expect(clock.now()).toBe(25);
  expect(clock.pendingCount).toBe(1);
});
