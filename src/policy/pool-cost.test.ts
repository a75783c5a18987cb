import { expect, test } from "vitest";
import { idleCost } from "./pool-cost.ts";

test("idleCost() is what half a processor and one GiB cost in an hour and in a day", () => {
  const requests = { cpuCount: 0.5, memoryBytes: 2 ** 30 };
  expect(idleCost(requests, 3_600_000)).toBeCloseTo(0.0200425, 9);
  expect(idleCost(requests, 86_400_000)).toBeCloseTo(0.48102, 9);
  expect(idleCost(requests, 0)).toBe(0);
});
