/**
 * How many members a pool is to have at a time.
 *
 * Hours are those of a wall clock in a time zone: on the day that a clock is set, an hour that comes twice counts twice,
 * and one that does not come does not count.
 *
 * @module
 */
import type { PoolHours, PoolSettings } from "../wire/cluster-settings.ts";

const MINUTE_MS = 60_000;
const DAY_COUNT = 7;

/** Says how many members are wanted: the size of the first hours that fit, else the pool's own. */
export function wantedSize({ size, schedule }: Pick<PoolSettings, "size" | "schedule">, now: number): number {
  return schedule.find((hours) => fits(hours, localTimeOf(now, hours.timeZone)))?.size ?? size;
}

/**
 * Says when to look again: the next full minute where there is a schedule, since hours begin at those in every zone.
 *
 * @returns epoch ms; `undefined` when the size never changes by itself
 */
export function nextLookAt({ schedule }: Pick<PoolSettings, "schedule">, now: number): number | undefined {
  return schedule.length === 0 ? undefined : (Math.floor(now / MINUTE_MS) + 1) * MINUTE_MS;
}

interface LocalTime {
  /** 0 is Sunday. */
  readonly day: number;
  /** Since midnight. */
  readonly minute: number;
}

function fits({ days, fromMinute, untilMinute }: PoolHours, { day, minute }: LocalTime): boolean {
  if (fromMinute < untilMinute) return days.includes(day) && minute >= fromMinute && minute < untilMinute;
  if (fromMinute === untilMinute) return false;
  // Over midnight: the evening of a day that is named, or the morning after one.
  if (minute >= fromMinute) return days.includes(day);
  return minute < untilMinute && days.includes((day + DAY_COUNT - 1) % DAY_COUNT);
}

const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/** Making one takes a hundred times as long as using it. */
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  // h23: without it some versions say 24:00 for midnight.
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
  });
  formats.set(timeZone, format);
  return format;
}

function localTimeOf(now: number, timeZone: string): LocalTime {
  const parts = new Map(
    formatOf(timeZone)
      .formatToParts(now)
      .map(({ type, value }) => [type, value]),
  );
  const minute = Number(parts.get("hour")) * 60 + Number(parts.get("minute"));
  return { day: WEEKDAYS.indexOf(parts.get("weekday") ?? ""), minute };
}
