/**
 * What is wrong with a text that people wrote, each point with its line and with the words of one grammar:
 * `slipway.yaml:7: limits.loginGrace: needs a duration, is true`. `settings.ts` uses it for YAML, `wire/definition.ts`
 * for JSON; neither is known here.
 *
 * @module
 */
import { z } from "zod";
import { meantBy } from "./nearest.ts";

export type Path = readonly PropertyKey[];

export interface Complaint {
  /** From 1. */
  readonly line: number;
  /** Keys and indexes from the top; empty for the text as a whole. */
  readonly path: Path;
  readonly message: string;
}

/** Finds the line on which what `path` leads to begins, or the nearest thing around it that is there. */
export type LineOf = (path: Path) => number;

/** A value that has the shape, or all that is wrong with it. */
export type Shaped<T> = { readonly data: T } | { readonly complaints: readonly Complaint[] };

/** Checks a value against a schema. Reports everything at once; an unknown key names the nearest known one. */
export function checkShape<T>(schema: z.ZodType<T>, value: unknown, lineOf: LineOf): Shaped<T> {
  const checked = schema.safeParse(value, { error: wordsFor });
  if (checked.success) return { data: checked.data };
  const points = checked.error.issues.flatMap((issue) => pointsOf(issue, schema));
  return { complaints: points.map((point) => ({ ...point, line: lineOf(point.path) })) };
}

/** Complaints written out of one text; whoever has more mends some first. */
const WRITTEN_MAX = 100;

/** Writes complaints for people, by line, one on a line of its own. */
export function writeComplaints(source: string, complaints: readonly Complaint[]): string {
  const lines = complaints
    .toSorted((one, other) => one.line - other.line)
    .map(
      ({ line, path, message }) => `${source}:${line}: ${path.length === 0 ? "" : `${writePath(path)}: `}${message}`,
    );
  const head = `Cannot use ${source}: ${lines.length} ${lines.length === 1 ? "complaint" : "complaints"}`;
  const more = lines.length > WRITTEN_MAX ? [`and ${lines.length - WRITTEN_MAX} more`] : [];
  return [head, ...lines.slice(0, WRITTEN_MAX), ...more].join("\n");
}

/** Says in a few words what a value is, for "needs a list, is …". Never shows the text: it may be a secret. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  if (typeof value === "string") return "a string";
  return typeof value === "number" || typeof value === "boolean" ? String(value) : typeof value;
}

/** Writes a path: `people.ada.keys[0]`; keys that are no plain words are quoted, and cut where they are long. */
export function writePath(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === "number") return `[${part}]`;
      const name = String(part)
        .replace(/\p{C}/gu, "?")
        .replace(/^(.{60}).+$/su, "$1…");
      if (!/^[A-Za-z0-9_$-]+$/.test(name)) return `[${JSON.stringify(name)}]`;
      return index === 0 ? name : `.${name}`;
    })
    .join("");
}

function pointsOf(issue: z.core.$ZodIssue, schema: z.ZodType): Omit<Complaint, "line">[] {
  if (issue.code !== "unrecognized_keys") return [{ path: issue.path, message: issue.message }];
  const known = keysAt(schema, issue.path);
  return issue.keys.map((key) => {
    const meant = meantBy(key, known);
    const hint = meant === undefined ? `; known are ${known.join(", ")}` : `; did you mean "${meant}"?`;
    return { path: [...issue.path, key], message: `unknown key${hint}` };
  });
}

const NEEDS: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

/** Words a zod issue in our grammar; schemas that word their own come before it. */
function wordsFor(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return needs(NEEDS[issue.expected] ?? issue.expected, issue.input);
    case "invalid_value":
      return needs(oneOf(issue.values.map((value) => JSON.stringify(value))), issue.input, shownChoice(issue.input));
    default:
      return undefined;
  }
}

/** Words the most common complaint: `needs a list, is true`. */
export function needs(what: string, input: unknown, shown = kindOf(input)): string {
  return input === undefined ? `is missing, needs ${what}` : `needs ${what}, is ${shown}`;
}

function oneOf(choices: readonly string[]): string {
  return choices.length < 2 ? choices.join("") : `${choices.slice(0, -1).join(", ")} or ${choices.at(-1) ?? ""}`;
}

/** Where one of a few words belongs, a short word is a slip of the hand and no secret. */
function shownChoice(input: unknown): string {
  return typeof input === "string" && /^[A-Za-z0-9 _-]{1,24}$/.test(input) ? JSON.stringify(input) : kindOf(input);
}

/** Lists the keys that the schema knows at a path. */
function keysAt(schema: unknown, path: Path): string[] {
  const inner = unwrap(schema);
  const [step, ...rest] = path;
  if (step === undefined) return inner instanceof z.ZodObject ? allowedKeys(inner) : [];
  if (inner instanceof z.ZodObject) return keysAt(inner.shape[String(step)], rest);
  if (inner instanceof z.ZodRecord) return keysAt(inner.valueType, rest);
  return inner instanceof z.ZodArray ? keysAt(inner.element, rest) : [];
}

/** Not those that are in the schema only to be refused with words of their own. */
function allowedKeys({ shape }: z.ZodObject): string[] {
  return Object.keys(shape).filter((key) => !(unwrap(shape[key]) instanceof z.ZodNever));
}

function unwrap(schema: unknown): unknown {
  if (schema instanceof z.ZodPipe) return unwrap(schema.in);
  const isWrapper =
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault;
  return isWrapper ? unwrap(schema.unwrap()) : schema;
}
