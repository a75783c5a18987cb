/**
 * What may stand under `pools` in `slipway.yaml`, and what the rest of Slipway gets of it. That the repository and the
 * cluster of a pool are there is seen to by `settings-cluster-links.ts`.
 *
 * @module
 */
import { z } from "zod";
import { needs } from "../base/complaint.ts";
import type { PoolSettings } from "./cluster-settings.ts";
import { wholeNumber } from "./quantities.ts";

const MEMBERS_MAX = 50;
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const DAYS_NEEDS = 'days, as in "mon-fri" or "sat,sun"';

/** Takes days and ranges of them; gives their numbers, 0 for Sunday. */
const days = z.string({ error: ({ input }) => needs(DAYS_NEEDS, input) }).transform((text, context) => {
  const read = text.split(",").map(daysOf);
  if (read.every((some) => some !== undefined)) return [...new Set(read.flat())].toSorted((one, other) => one - other);
  context.addIssue({ code: "custom", message: `needs ${DAYS_NEEDS}, is ${JSON.stringify(text.slice(0, 40))}` });
  return z.NEVER;
});

function daysOf(part: string): number[] | undefined {
  const [from, until = from, ...rest] = part.split("-").map((day) => DAYS.indexOf(day.trim().toLowerCase()));
  if (from === undefined || until === undefined || from < 0 || until < 0 || rest.length > 0) return undefined;
  const count = ((until - from + DAYS.length) % DAYS.length) + 1;
  return Array.from({ length: count }, (_, index) => (from + index) % DAYS.length);
}

/** Takes a time of day as in "08:00"; gives minutes since midnight. */
function timeOfDay(lastMinute: number) {
  const what = `a time of day as in "08:00", up to "${lastMinute === 1_440 ? "24:00" : "23:59"}"`;
  return z.unknown().transform((input, context) => {
    // YAML 1.1 and careless editors make 480 of 08:00; a number would be ambiguous.
    const [, hours, minutes] = /^([0-9]{1,2}):([0-5][0-9])$/.exec(typeof input === "string" ? input.trim() : "") ?? [];
    const minute = Number(hours) * 60 + Number(minutes);
    if (minute <= lastMinute) return minute;
    const shown = typeof input === "string" ? JSON.stringify(input.slice(0, 40)) : undefined;
    context.addIssue({ code: "custom", message: needs(what, input, shown), input });
    return z.NEVER;
  });
}

const timeZone = z.string().refine(isTimeZone, {
  error: ({ input }) => needs('a time zone, as in "Europe/Berlin" or "UTC"', input, JSON.stringify(input).slice(0, 42)),
});

function isTimeZone(name: string): boolean {
  // An offset would be taken too, and would be wrong for half of the year in most places.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }) instanceof Intl.DateTimeFormat;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

const hours = z
  .strictObject({
    days: days.prefault("mon-sun"),
    from: timeOfDay(1_439),
    until: timeOfDay(1_440),
    timeZone: timeZone.default("UTC"),
    size: wholeNumber(0, MEMBERS_MAX),
  })
  .refine(({ from, until }) => from !== until, { path: ["until"], error: "needs another time than from" });

export const pool = z.strictObject({
  repository: z.string(),
  cluster: z.string().optional(),
  size: wholeNumber(0, MEMBERS_MAX).default(5),
  schedule: z.array(hours).default([]),
});

/** Gives what the rest of Slipway reads. */
export function toPool(name: string, { repository, cluster, size, schedule }: z.infer<typeof pool>): PoolSettings {
  return {
    name,
    repository,
    ...(cluster === undefined ? {} : { cluster }),
    size,
    schedule: schedule.map(({ from, until, ...rest }) => ({ ...rest, fromMinute: from, untilMinute: until })),
  };
}
