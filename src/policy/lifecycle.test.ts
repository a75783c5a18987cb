import fc from "fast-check";
import { expect, test } from "vitest";
import { idleAfterMs, type LifecycleFacts, phaseOf } from "./lifecycle.ts";

const HOUR_MS = 3_600_000;
const made: LifecycleFacts = {
  desired: "present",
  inventoryCount: 1,
  provisionedAt: 1_000,
  firstUseAt: undefined,
  lastActivityAt: undefined,
};
const used = { ...made, firstUseAt: 2_000 };

test.each<[string, LifecycleFacts, number, string]>([
  ["nothing of it is there", { ...made, inventoryCount: 0, provisionedAt: undefined }, 0, "pending"],
  ["it is being made", { ...made, provisionedAt: undefined }, 99 * HOUR_MS, "pending"],
  ["it is made and was never used", made, 1_500, "ready"],
  ["nobody ever came", made, 1_000 + 2 * HOUR_MS, "idle"],
  ["its first session begins", used, 2_000, "active"],
  ["it is quiet for a while", used, 2_000 + 2 * HOUR_MS - 1, "active"],
  ["it is quiet for too long", used, 2_000 + 2 * HOUR_MS, "idle"],
  ["somebody types again", { ...used, lastActivityAt: 9 * HOUR_MS }, 10 * HOUR_MS, "active"],
  ["a clock was set back", { ...used, lastActivityAt: 9 * HOUR_MS }, 3_000, "active"],
  ["it is unwanted while being made", { ...made, desired: "absent", provisionedAt: undefined }, 0, "expiring"],
  ["it is unwanted while in use", { ...used, desired: "absent" }, 3_000, "expiring"],
  ["nothing is left of it", { ...used, desired: "absent", inventoryCount: 0 }, 3_000, "destroyed"],
])("phaseOf() follows the facts when %s", (_, facts, now, phase) => {
  expect(phaseOf(facts, "lightweight", now)).toBe(phase);
});

test("idleAfterMs() is half of a tier's life, at most 12 hours", () => {
  expect((["lightweight", "full", "compliance"] as const).map((tier) => idleAfterMs(tier) / HOUR_MS)).toEqual([
    2, 12, 12,
  ]);
});

test("phaseOf() moves only forward, but for idle and active, as facts are added", () => {
  const time = fc.option(fc.nat(99 * HOUR_MS), { nil: undefined });
  const order = ["pending", "ready", "active", "expiring", "destroyed"];
  const rank = (phase: string): number => order.indexOf(phase === "idle" ? "active" : phase);
  fc.assert(
    fc.property(time, time, time, fc.nat(99 * HOUR_MS), (provisionedAt, firstUseAt, lastActivityAt, now) => {
      const steps: LifecycleFacts[] = [
        { ...made, provisionedAt: undefined },
        { ...made, provisionedAt },
        { ...made, provisionedAt, firstUseAt },
        { ...made, provisionedAt, firstUseAt, lastActivityAt },
        { ...made, provisionedAt, firstUseAt, lastActivityAt, desired: "absent" },
        { ...made, provisionedAt, firstUseAt, lastActivityAt, desired: "absent", inventoryCount: 0 },
      ];
      const ranks = steps
        .map((facts) => phaseOf(facts, "full", now))
        .filter((phase) => phase !== "idle")
        .map(rank);
      expect(ranks).toEqual(ranks.toSorted((one, other) => one - other));
    }),
  );
});
