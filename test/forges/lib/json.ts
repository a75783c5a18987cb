/**
 * Narrowing of values that came out of JSON.
 *
 * @module
 */

export type JsonObject = Readonly<Record<string, unknown>>;

/** Says whether a value is an object with members: no list, not null. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Says whether a value is a list, of whatever. */
export function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

/** The value as an object; one without members when it is none. */
export function objectIn(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

/** Reads what is below some member names; `undefined` where the way ends. */
export function valueAt(value: unknown, ...names: readonly string[]): unknown {
  let here = value;
  for (const name of names) here = isObject(here) || isList(here) ? Reflect.get(here, name) : undefined;
  return here;
}

/** Reads JSON; `undefined` when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
