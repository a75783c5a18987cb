/**
 * Looks into JSON values that somebody else wrote, without believing anything of their shape.
 *
 * @module
 */

export type Fields = Readonly<Record<string, unknown>>;

/** Says whether a value is an object with fields. */
export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The fields of a value; none where it is no object. Those that are `null` count as absent, as they do for a server. */
export function fieldsOf(value: unknown): Fields {
  if (!isFields(value)) return {};
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== null && inner !== undefined));
}

/** The items of a value; none where it is no list. */
export function listOf(value: unknown): readonly unknown[] {
  const list: unknown[] = Array.isArray(value) ? value : [];
  return list;
}

/** A text, or nothing. */
export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** What is at the end of a path, or nothing. */
export function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, name) => fieldsOf(inner)[name], value);
}

/** The same with another value at the end of a path, objects made on the way. */
export function withAt(value: unknown, path: readonly string[], inner: unknown): Fields {
  const [name, ...rest] = path;
  const fields = fieldsOf(value);
  if (name === undefined) return fieldsOf(inner);
  return { ...fields, [name]: rest.length === 0 ? inner : withAt(fields[name], rest, inner) };
}

/** The same without some of its fields. */
export function without(fields: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
}
