import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";

import { HandClock } from "../../../test/fakes/hand-clock.ts";
import type { Priority } from "../forge-client.ts";
import { Rationing, type RationingLimits } from "./rationing.ts";

const LIMITS: RationingLimits = { concurrentMax: 10, pointsPerSecond: 12, burstPoints: 100 };

/** Requests that tell when they went, and end when they are told to. */
function makeWorld(limits: Partial<RationingLimits> = {}) {
  const clock = new HandClock(1_000_000);
  const rationing = new Rationing({ ...LIMITS, ...limits }, clock);
  const went: string[] = [];
  const failed: { name: string; code: unknown; message: string }[] = [];
  const ends: (() => void)[] = [];
  const ask = (
    name: string,
    priority: Priority,
    more: { lane?: string; signal?: AbortSignal; points?: number } = {},
  ) => {
    const { lane = "", signal = new AbortController().signal, points = 1 } = more;
    rationing.turn({ priority, lane, points, source: `GET /${name}`, signal }).then(
      (end) => {
        went.push(name);
        ends.push(end);
      },
      (error: unknown) => {
        const { code, message } = error as { code: unknown; message: string };
        failed.push({ name, code, message });
      },
    );
  };
  const endAll = () => {
    for (const end of ends.splice(0)) end();
  };
  return { clock, rationing, went, failed, ask, ends, endAll };
}

test("turn() lets a login go first, then live sessions, then the rest, each by age", async () => {
  const { clock, went, ask, endAll } = makeWorld({ concurrentMax: 1 });
  ask("first", "background");
  for (const priority of ["background", "live", "login"] as const)
    for (const n of [1, 2]) ask(`${priority}${n}`, priority);
  for (let count = 0; count < 7; count += 1) {
    await setImmediate();
    endAll();
  }
  expect(went).toEqual(["first", "login1", "login2", "live1", "live2", "background1", "background2"]);
  expect(clock.pendingCount).toBe(0);
});

test("turn() keeps places for logins and live sessions while background requests are slow", async () => {
  const { went, ask } = makeWorld();
  for (let count = 0; count < 20; count += 1) ask("b", "background");
  for (let count = 0; count < 20; count += 1) ask("v", "live");
  for (let count = 0; count < 20; count += 1) ask("g", "login");
  await setImmediate();
  expect(went.join("")).toBe("bbbbbbvvgg");
});

test("turn() lets a burst go at once and the rest at the pace", async () => {
  const { clock, went, ask, endAll } = makeWorld({ concurrentMax: 1_000, burstPoints: 30 });
  for (let count = 0; count < 100; count += 1) ask("x", "login");
  await clock.advance(0);
  expect(went).toHaveLength(30);
  await clock.advance(1_000);
  expect(went).toHaveLength(42);
  ask("expensive", "login", { points: 5 });
  await clock.advance(58_000 / 12 + 500);
  endAll();
  expect(went).toHaveLength(101);
});

test("turn() stays below 900 points in any minute", async () => {
  const { clock, went, ask, endAll } = makeWorld();
  for (let count = 0; count < 2_000; count += 1) ask("x", "background");
  for (let ms = 0; ms < 60_000; ms += 100) {
    await clock.advance(100);
    endAll();
  }
  expect(went.length).toBeGreaterThan(700);
  expect(went.length).toBeLessThan(900);
});

test("turn() leaves a fifth of the budget to live sessions, a twentieth to logins, and all of it to those", async () => {
  const { rationing, went, failed, ask, endAll } = makeWorld();
  const at = async (remaining: number) => {
    rationing.learn("", { limit: 1_000, remaining, resetMs: 30_000 });
    for (const priority of ["background", "live", "login"] as const) ask(`${priority}@${remaining}`, priority);
    await setImmediate();
    endAll();
  };
  for (const remaining of [1_000, 201, 200, 51, 50, 1, 0]) await at(remaining);
  expect(went.filter((name) => name.startsWith("background"))).toEqual(["background@1000", "background@201"]);
  expect(went.filter((name) => name.startsWith("live"))).toEqual(["live@1000", "live@201", "live@200", "live@51"]);
  expect(went).toContain("login@1");
  expect(went).not.toContain("login@0");
  expect(failed).toEqual([]);
});

test("turn() counts requests under way against what is left", async () => {
  const { rationing, went, ask } = makeWorld();
  rationing.learn("", { limit: 100, remaining: 3, resetMs: 30_000 });
  for (let count = 0; count < 5; count += 1) ask("x", "login");
  await setImmediate();
  expect(went).toHaveLength(3);
});

test("turn() lets those who waited go when the budget is full again", async () => {
  const { clock, rationing, went, ask } = makeWorld();
  rationing.learn("", { limit: 100, remaining: 0, resetMs: 3_000_000 });
  ask("x", "background");
  await clock.advance(2_999_000);
  expect(went).toEqual([]);
  await clock.advance(1_000);
  expect(went).toEqual(["x"]);
});

test("turn() refuses logins and live sessions at once that would wait for over a minute, also while they wait", async () => {
  const { clock, rationing, went, failed, ask } = makeWorld();
  rationing.pause(30_000);
  ask("waits", "login");
  await clock.advance(0);
  expect(failed).toEqual([]);
  rationing.pause(90_000);
  ask("late", "live");
  ask("patient", "background");
  await clock.advance(0);
  expect(failed.map(({ name }) => name).toSorted()).toEqual(["late", "waits"]);
  expect(failed[0]).toMatchObject({
    code: "forge.limited",
    message: "Cannot ask GET /waits: requests are rationed for 90 s more",
  });
  await clock.advance(90_000);
  expect(went).toEqual(["patient"]);
});

test("turn() rejects when its signal aborts first, and leaves nothing behind", async () => {
  const { clock, rationing, went, failed, ask } = makeWorld();
  const ending = new AbortController();
  rationing.pause(10_000);
  ask("x", "login", { signal: ending.signal });
  await clock.advance(2_000);
  ending.abort();
  ask("y", "login", { signal: AbortSignal.abort() });
  await clock.advance(20_000);
  expect(went).toEqual([]);
  expect(failed.map(({ name, code }) => [name, code])).toEqual([
    ["x", "forge.limited"],
    ["y", "forge.limited"],
  ]);
  expect(clock.pendingCount).toBe(0);
});

test("lanes have budgets of their own, and a pause is for all", async () => {
  const { clock, rationing, went, ask, endAll } = makeWorld();
  rationing.learn("spent", { limit: 100, remaining: 0, resetMs: 50_000 });
  ask("a", "login", { lane: "spent" });
  ask("b", "login", { lane: "full" });
  await clock.advance(0);
  expect(went).toEqual(["b"]);
  endAll();
  rationing.pause(1_000);
  ask("c", "login", { lane: "full" });
  await clock.advance(999);
  expect(went).toEqual(["b"]);
  await clock.advance(1);
  expect(went).toEqual(["b", "c"]);
});

test("learn() takes the least of answers that come out of order, until the period is over", async () => {
  const { clock, rationing } = makeWorld();
  const learn = (remaining: number, resetMs: number) => rationing.learn("", { limit: 100, remaining, resetMs });
  learn(40, 10_000);
  learn(42, 10_500);
  expect(rationing.budget?.remaining).toBe(40);
  learn(90, 3_000); // an answer of an earlier period
  expect(rationing.budget?.remaining).toBe(40);
  await clock.advance(10_500);
  expect(rationing.budget?.remaining).toBe(100);
  learn(99, 60_000);
  expect(rationing.budget).toEqual({ limit: 100, remaining: 99, resetAt: 1_070_500 });
});

test("waits that a broken header asks for end after an hour", async () => {
  const { clock, rationing, went, ask } = makeWorld();
  rationing.pause(Number.MAX_SAFE_INTEGER);
  ask("x", "background");
  await clock.advance(3_600_000);
  expect(went).toEqual(["x"]);
});

test("whatever happens, everybody gets a turn or is refused, and no limit is passed", async () => {
  const step = fc.oneof(
    fc.record({
      do: fc.constant("ask" as const),
      priority: fc.constantFrom<Priority>("login", "live", "background"),
      lane: fc.constantFrom("a", "b"),
    }),
    fc.record({ do: fc.constant("end" as const) }),
    fc.record({
      do: fc.constant("learn" as const),
      lane: fc.constantFrom("a", "b"),
      remaining: fc.nat(100),
      resetMs: fc.nat(100_000),
    }),
    fc.record({ do: fc.constant("pause" as const), ms: fc.nat(100_000) }),
    fc.record({ do: fc.constant("advance" as const), ms: fc.nat(5_000) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const { clock, rationing, went, failed, ask, ends, endAll } = makeWorld({ concurrentMax: 3 });
      let askedCount = 0;
      for (const next of steps) {
        if (next.do === "ask") ask(String(askedCount++), next.priority, { lane: next.lane });
        if (next.do === "end") ends.shift()?.();
        if (next.do === "learn")
          rationing.learn(next.lane, { limit: 100, remaining: next.remaining, resetMs: next.resetMs });
        if (next.do === "pause") rationing.pause(next.ms);
        if (next.do === "advance") await clock.advance(next.ms);
        await setImmediate();
        expect(ends.length).toBeLessThanOrEqual(3);
      }
      for (let count = 0; count < 60; count += 1) {
        await clock.advance(100_000);
        endAll();
      }
      expect(went.length + failed.length).toBe(askedCount);
      expect(clock.pendingCount).toBe(0);
    }),
    { numRuns: 60 },
  );
});
