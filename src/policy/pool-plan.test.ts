import fc from "fast-check";
import { expect, test } from "vitest";
import { pausedUntil, type PlannedMember, planPool, type PoolFacts } from "./pool-plan.ts";

const facts: PoolFacts = { wanted: 2, version: "v1", members: [], making: new Set(), failures: undefined };

function member(id: string, changes: Partial<PlannedMember> = {}): PlannedMember {
  return { id, version: "v1", state: "ready", createdAt: Number.parseInt(id, 10) || 0, ...changes };
}

const goneOf = (changes: Partial<PoolFacts>): string[] => planPool({ ...facts, ...changes }).retire.map(({ id }) => id);

test("planPool() fills what is missing, what is being made counted in", () => {
  expect(planPool(facts)).toEqual({ retire: [], missing: 2 });
  const members = [member("1"), member("2", { state: "filling" })];
  expect(planPool({ ...facts, wanted: 3, members, making: new Set(["2"]) })).toEqual({ retire: [], missing: 1 });
});

test("planPool() takes away too many at once: first those being made, youngest first, then the oldest", () => {
  const members = [member("1"), member("2"), member("3", { state: "filling" }), member("4", { state: "filling" })];
  const making = new Set(["3", "4"]);
  expect(goneOf({ members, making, wanted: 0 })).toEqual(["4", "3", "1", "2"]);
  expect(goneOf({ members, making, wanted: 3 })).toEqual(["4"]);
  expect(goneOf({ members, making, wanted: 1 })).toEqual(["4", "3", "1"]);
});

test("planPool() takes away every member of an old version, failed ones too", () => {
  const failures = { version: "v0", failedCount: 3, failedAt: 0 };
  const members = [member("1", { version: "v0" }), member("2"), member("3", { version: "v0", state: "failed" })];
  expect(planPool({ ...facts, members, failures })).toMatchObject({ retire: [{ id: "1" }, { id: "3" }], missing: 1 });
});

test("planPool() takes away what a service that was killed was making", () => {
  expect(planPool({ ...facts, members: [member("1", { state: "filling" })] })).toMatchObject({
    retire: [{ id: "1", because: "the service ended while it was made" }],
    missing: 2,
  });
});

test("planPool() keeps the last failed member while failures are counted, and none after", () => {
  const members = ["1", "3", "2"].map((id) => member(id, { state: "failed" }));
  expect(goneOf({ members, failures: { version: "v1", failedCount: 1, failedAt: 0 } })).toEqual(["1", "2"]);
  expect(goneOf({ members })).toEqual(["1", "3", "2"]);
});

test("planPool() makes nothing while nobody can say from what, and still takes away too many", () => {
  const members = [member("1", { version: "v0" }), member("2"), member("3")];
  expect(planPool({ ...facts, version: undefined, members })).toMatchObject({ retire: [{ id: "1" }], missing: 0 });
  expect(planPool({ ...facts, version: undefined })).toEqual({ retire: [], missing: 0 });
});

test("pausedUntil() is ten minutes after the third failure of this version", () => {
  const failures = { version: "v1", failedCount: 3, failedAt: 1_000 };
  expect(pausedUntil(failures, "v1", 1_000)).toBe(601_000);
  expect(pausedUntil(failures, "v1", 600_999)).toBe(601_000);
  expect(pausedUntil(failures, "v1", 601_000)).toBeUndefined();
  expect(pausedUntil(failures, undefined, 1_000)).toBe(601_000);
  expect(pausedUntil(failures, "v2", 1_000)).toBeUndefined();
  expect(pausedUntil({ ...failures, failedCount: 2 }, "v1", 1_000)).toBeUndefined();
  expect(pausedUntil({ ...failures, failedAt: 9e12 }, "v1", 1_000)).toBeUndefined();
});

const memberOf = fc.record({
  version: fc.constantFrom("v0", "v1"),
  state: fc.constantFrom("filling" as const, "ready" as const, "failed" as const),
  createdAt: fc.nat(5),
});

test("planPool() done as it says leaves exactly what is wanted, and then says nothing more", () => {
  fc.assert(
    fc.property(fc.nat(6), fc.array(memberOf, { maxLength: 12 }), fc.boolean(), (wanted, given, hasFailed) => {
      const members = given.map((one, index) => ({ ...one, id: `m${index}` }));
      const making = new Set(members.filter((_, index) => index % 2 === 0).map(({ id }) => id));
      const failures = hasFailed ? { version: "v1", failedCount: 3, failedAt: 0 } : undefined;
      const { retire, missing } = planPool({ wanted, version: "v1", members, making, failures });
      const gone = new Set(retire.map(({ id }) => id));
      expect(gone.size).toBe(retire.length);
      const made = Array.from({ length: missing }, (_, index) => member(`n${index}`));
      const after = [...members.filter(({ id }) => !gone.has(id)), ...made];
      expect(after.every(({ version }) => version === "v1")).toBe(true);
      expect(after.filter(({ state }) => state !== "failed")).toHaveLength(wanted);
      expect(after.filter(({ state }) => state === "failed").length).toBeLessThanOrEqual(hasFailed ? 1 : 0);
      expect(planPool({ wanted, version: "v1", members: after, making, failures })).toEqual({ retire: [], missing: 0 });
    }),
  );
});
