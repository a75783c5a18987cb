/**
 * How people write amounts in settings, as schemas: whole numbers, sizes in bytes and durations. Each says in one
 * sentence what it needs, and none of them stops the checks that come after it.
 *
 * @module
 */
import { z } from "zod";
import { kindOf, needs } from "../base/complaint.ts";

const SIZE_UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
const DURATION_UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Takes a whole number between two others. */
export function wholeNumber(min: number, max: number): z.ZodType<number> {
  const what = `a whole number from ${min} to ${max}`;
  return z
    .number({ error: (issue) => needs(what, issue.input) })
    .refine((value) => Number.isInteger(value) && value >= min && value <= max, {
      error: (issue) => needs(what, issue.input),
    });
}

/** Takes a number above 0, of processors: 0.5 is half of one. */
export function processorCount(): z.ZodType<number> {
  const what = "a number of processors above 0, as in 0.5 or 2";
  return z
    .number({ error: (issue) => needs(what, issue.input) })
    .refine((value) => value > 0 && value <= 1_024, { error: (issue) => needs(what, issue.input) });
}

/** Takes a size as a number of bytes or as in "512MiB"; gives bytes. */
export function size(minBytes: number): z.ZodType<number> {
  return amount({
    what: `a size of at least ${writeSize(minBytes)}, as in 4GiB, 512MiB or a number of bytes`,
    read: (text) => readAmount(text, SIZE_UNITS),
    min: minBytes,
    max: Number.MAX_SAFE_INTEGER,
  });
}

/** Takes a duration as in "500ms", "30s", "5m" or "1h"; gives milliseconds. */
export function duration(min: string, max: string): z.ZodType<number> {
  const read = (text: string): number | undefined => readAmount(text, DURATION_UNITS_MS);
  return amount({
    what: `a duration from ${min} to ${max}, as in 500ms, 30s, 5m or 1h`,
    read: (text) => (typeof text === "string" ? read(text) : undefined),
    min: read(min) ?? 0,
    max: read(max) ?? 0,
  });
}

interface AmountOptions {
  readonly what: string;
  readonly read: (text: string | number) => number | undefined;
  readonly min: number;
  readonly max: number;
}

function amount({ what, read, min, max }: AmountOptions): z.ZodType<number> {
  return z.unknown().transform((input, context) => {
    const value = typeof input === "string" || typeof input === "number" ? read(input) : undefined;
    if (value !== undefined && value >= min && value <= max) return value;
    const is = typeof input === "string" ? JSON.stringify(input.slice(0, 40)) : kindOf(input);
    context.addIssue({ code: "custom", message: `needs ${what}, is ${is}`, input });
    return z.NEVER;
  });
}

function readAmount(text: string | number, units: Readonly<Record<string, number>>): number | undefined {
  if (typeof text === "number") return Number.isSafeInteger(text) ? text : undefined;
  const [, digits = "", unit = ""] = /^([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]+)$/.exec(text.trim()) ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  return factor === undefined ? undefined : Math.floor(Number(digits) * factor);
}

function writeSize(bytes: number): string {
  const [unit = "B", factor = 1] = Object.entries(SIZE_UNITS).findLast(([, unitBytes]) => bytes >= unitBytes) ?? [];
  return `${bytes / factor}${unit}`;
}
