import fc from "fast-check";
import { expect, test } from "vitest";
import type { PoolHours } from "../wire/cluster-settings.ts";
import { nextLookAt, wantedSize } from "./pool.ts";

const EVERY_DAY = [0, 1, 2, 3, 4, 5, 6];
const MINUTE_MS = 60_000;
const at = (text: string): number => Date.parse(text);

function hours(changes: Partial<PoolHours>): PoolHours {
  return { days: EVERY_DAY, fromMinute: 0, untilMinute: 1_440, timeZone: "Europe/Berlin", size: 8, ...changes };
}
const sizeAt = (schedule: readonly PoolHours[], text: string): number => wantedSize({ size: 2, schedule }, at(text));

test("wantedSize() is the pool's own without a schedule", () => {
  expect(sizeAt([], "2026-06-01T12:00Z")).toBe(2);
});

test.each([
  ["before they begin", "2026-06-01T05:59:59.999Z", 2],
  ["from their first minute on", "2026-06-01T06:00Z", 8],
  ["up to their last", "2026-06-01T15:59:59.999Z", 8],
  ["when they are over", "2026-06-01T16:00Z", 2],
  ["in winter, an hour later in UTC", "2026-12-01T06:59Z", 2],
  ["in winter, from then on", "2026-12-01T07:00Z", 8],
  ["on another day of the week", "2026-06-07T12:00Z", 2],
])("wantedSize() follows hours by the wall clock: %s", (_, time, size) => {
  expect(sizeAt([hours({ days: [1, 2, 3, 4, 5], fromMinute: 480, untilMinute: 1_080 })], time)).toBe(size);
});

test.each([
  ["the evening of a named day", "2026-06-05T20:30Z", 8],
  ["the morning after it", "2026-06-06T03:59Z", 8],
  ["when the morning is over", "2026-06-06T04:00Z", 2],
  ["the morning of the named day", "2026-06-05T03:00Z", 2],
  ["the evening after", "2026-06-06T20:30Z", 2],
])("wantedSize() takes hours over midnight as of the day on which they begin: %s", (_, time, size) => {
  expect(sizeAt([hours({ days: [5], fromMinute: 1_320, untilMinute: 360 })], time)).toBe(size);
});

test("wantedSize() takes Saturday's night into Sunday", () => {
  const schedule = [hours({ days: [6], fromMinute: 1_320, untilMinute: 360, timeZone: "UTC" })];
  expect(sizeAt(schedule, "2026-06-07T05:00Z")).toBe(8);
});

test("wantedSize() takes the first hours that fit", () => {
  const schedule = [hours({ fromMinute: 720, untilMinute: 780, size: 0 }), hours({ size: 5 })];
  expect(sizeAt(schedule, "2026-06-01T10:30Z")).toBe(0);
  expect(sizeAt(schedule, "2026-06-01T12:30Z")).toBe(5);
});

test("wantedSize() counts an hour that comes twice twice, and one that does not come not at all", () => {
  const small = [hours({ fromMinute: 130, untilMinute: 140 })];
  const minutes = (day: string): number =>
    Array.from({ length: 1_440 }, (_, index) =>
      wantedSize({ size: 0, schedule: small }, at(day) + index * MINUTE_MS),
    ).filter((size) => size > 0).length;
  expect(minutes("2026-06-01T00:00Z")).toBe(10);
  expect(minutes("2026-03-29T00:00Z")).toBe(0); // 02:00 to 03:00 did not come
  expect(minutes("2026-10-25T00:00Z")).toBe(20); // came twice
});

/** Days in 2026 on which a clock is set: the moment, and the offsets in minutes before and after. IANA tzdata. */
const TRANSITIONS = [
  { timeZone: "Europe/Berlin", at: at("2026-03-29T01:00Z"), before: 60, after: 120 },
  { timeZone: "Europe/Berlin", at: at("2026-10-25T01:00Z"), before: 120, after: 60 },
  { timeZone: "America/New_York", at: at("2026-03-08T07:00Z"), before: -300, after: -240 },
  { timeZone: "America/New_York", at: at("2026-11-01T06:00Z"), before: -240, after: -300 },
  // By half an hour, and in the other half of the year.
  { timeZone: "Australia/Lord_Howe", at: at("2026-04-04T15:00Z"), before: 660, after: 630 },
  { timeZone: "Australia/Lord_Howe", at: at("2026-10-03T15:30Z"), before: 630, after: 660 },
  { timeZone: "Asia/Kathmandu", at: at("2026-04-01T00:00Z"), before: 345, after: 345 },
];

test("wantedSize() agrees with the offsets of a zone on each side of the moment its clock is set", () => {
  const minute = fc.nat(1_440);
  fc.assert(
    fc.property(
      fc.constantFrom(...TRANSITIONS),
      fc.integer({ min: -3 * 1_440, max: 3 * 1_440 }),
      fc.record({ days: fc.subarray(EVERY_DAY), fromMinute: minute, untilMinute: minute }),
      (transition, distance, given) => {
        const { days, fromMinute, untilMinute } = given;
        const now = transition.at + distance * MINUTE_MS;
        const offset = now < transition.at ? transition.before : transition.after;
        const local = new Date(now + offset * MINUTE_MS); // its UTC fields are the wall clock's
        const [day, clock] = [local.getUTCDay(), local.getUTCHours() * 60 + local.getUTCMinutes()];
        const isIn =
          fromMinute <= untilMinute
            ? days.includes(day) && fromMinute <= clock && clock < untilMinute
            : (days.includes(day) && clock >= fromMinute) || (days.includes((day + 6) % 7) && clock < untilMinute);
        const schedule = [hours({ days, fromMinute, untilMinute, timeZone: transition.timeZone })];
        expect(wantedSize({ size: 2, schedule }, now)).toBe(isIn ? 8 : 2);
      },
    ),
    { numRuns: 500 },
  );
});

test("nextLookAt() misses no change of size", () => {
  const schedule = [hours({ fromMinute: 61, untilMinute: 62 })];
  fc.assert(
    fc.property(fc.integer({ min: at("2026-01-01"), max: at("2026-12-31") }), (now) => {
      const next = nextLookAt({ schedule }, now) ?? 0;
      expect(next).toBeGreaterThan(now);
      expect(next - now).toBeLessThanOrEqual(MINUTE_MS);
      expect(wantedSize({ size: 2, schedule }, next - 1)).toBe(wantedSize({ size: 2, schedule }, now));
    }),
  );
  expect(nextLookAt({ schedule: [] }, 0)).toBeUndefined();
});
