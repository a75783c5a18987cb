import { expect, test } from "vitest";
import { backgroundWaitMs, listingIntervalMs } from "./access-pace.ts";

const HOUR_MS = 3_600_000;

test.each([
  ["no budget is known", undefined, 0],
  ["the budget is full", { limit: 5_000, remaining: 5_000, resetAt: HOUR_MS }, 0],
  ["nothing was spent for half an hour", { limit: 5_000, remaining: 5_000, resetAt: HOUR_MS / 2 }, 0],
  ["the period is over", { limit: 5_000, remaining: 0, resetAt: 0 }, 0],
  ["only what is kept for logins is left", { limit: 5_000, remaining: 1_500, resetAt: 600_000 }, 600_000],
  ["a tenth was spent at the beginning", { limit: 5_000, remaining: 4_500, resetAt: HOUR_MS }, 411_429],
])("backgroundWaitMs() when %s", (_, budget, waitMs) => {
  expect(backgroundWaitMs(budget, 0)).toBe(waitMs);
});

test("backgroundWaitMs() spreads what it may spend over the whole period, when every answer costs one", () => {
  const limit = 5_000;
  let remaining = limit;
  const spentBy: number[] = [];
  for (let now = 0; now < HOUR_MS; now += 1_000) {
    for (let count = 0; count < 4 && backgroundWaitMs({ limit, remaining, resetAt: HOUR_MS }, now) === 0; count += 1) {
      remaining -= 1;
    }
    if (now % 900_000 === 0) spentBy.push(limit - remaining);
  }
  expect(remaining).toBeGreaterThanOrEqual(1_495);
  expect(remaining).toBeLessThanOrEqual(1_520);
  for (const [quarter, spent] of spentBy.entries()) {
    expect(spent).toBeGreaterThanOrEqual(quarter * 875 - 10);
    expect(spent).toBeLessThanOrEqual(quarter * 875 + 110);
  }
});

test.each([
  ["few repositories", 10, { limit: 5_000, remaining: 0, resetAt: 0 }, 300_000],
  ["10,000 repositories", 10_000, { limit: 5_000, remaining: 0, resetAt: 0 }, 720_000],
  ["1,000,000 repositories", 1_000_000, { limit: 5_000, remaining: 0, resetAt: 0 }, HOUR_MS],
  ["a forge that rations nothing", 10_000, undefined, 300_000],
])("listingIntervalMs() for %s", (_, count, budget, intervalMs) => {
  expect(listingIntervalMs(count, budget)).toBe(intervalMs);
});
