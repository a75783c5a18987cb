/**
 * JSON with comments and trailing commas, as `devcontainer.json` is written, read with the line of everything in it.
 * The text is hostile: its size and depth are bounded, and `__proto__` is a key like any other.
 *
 * Called by `definition.ts` alone.
 *
 * @module
 */
import { createScanner, type Node, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser";
import type { Complaint, LineOf, Path } from "../base/complaint.ts";

export interface Jsonc {
  /** `undefined` when there are complaints. */
  readonly value: unknown;
  readonly lineOf: LineOf;
  /** Why the text is no JSON with comments. */
  readonly complaints: readonly Complaint[];
  /** Paths of keys that are there again; the last one counts. */
  readonly repeated: readonly Path[];
}

/** Far more than any definition has (guess). */
const LENGTH_MAX = 64 * 1_024;
const DEPTH_MAX = 64;
const COMPLAINTS_MAX = 20;

/** What the parser's and the scanner's kinds of tokens are that open and close: jsonc-parser, SyntaxKind. */
const OPENING = new Set([1, 3]);
const CLOSING = new Set([2, 4]);
const END = 17;

/** Reads a text. Never throws. */
export function readJsonc(text: string): Jsonc {
  const lineAt = lineFinder(text);
  const refuse = (offset: number, message: string): Jsonc => ({
    value: undefined,
    lineOf: () => 1,
    complaints: [{ line: lineAt(offset), path: [], message }],
    repeated: [],
  });
  if (text.length > LENGTH_MAX) return refuse(0, `is larger than ${LENGTH_MAX} characters`);
  const deep = tooDeepAt(text);
  if (deep !== undefined) return refuse(deep, `is nested deeper than ${DEPTH_MAX} levels`);
  const errors: ParseError[] = [];
  // A byte order mark is one character that JSON does not know; editors on Windows write it.
  const root = parseTree(text.replace(/^\uFEFF/, " "), errors, { allowTrailingComma: true });
  const complaints = errors.slice(0, COMPLAINTS_MAX).map(({ offset, error }) => ({
    line: lineAt(offset),
    path: [],
    message: `is no JSON with comments: ${printParseErrorCode(error).replace(/(?<=.)[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)}`,
  }));
  const repeated: Path[] = [];
  const offsetOf = root === undefined ? () => 0 : offsetFinder(root);
  return {
    value: complaints.length > 0 || root === undefined ? undefined : valueOf(root, [], repeated),
    lineOf: (path) => lineAt(offsetOf(path)),
    complaints,
    repeated,
  };
}

/** Finds where the text is nested too deep for a parser that calls itself for each level. */
function tooDeepAt(text: string): number | undefined {
  const scanner = createScanner(text, true);
  let depth = 0;
  for (let token: number = scanner.scan(); token !== END; token = scanner.scan()) {
    if (OPENING.has(token)) depth++;
    if (CLOSING.has(token)) depth--;
    if (depth > DEPTH_MAX) return scanner.getTokenOffset();
  }
  return undefined;
}

/** jsonc-parser's own conversion assigns keys, so that `__proto__` would set a prototype. */
function valueOf(node: Node, path: Path, repeated: Path[]): unknown {
  if (node.type === "array")
    return (node.children ?? []).map((child, index) => valueOf(child, [...path, index], repeated));
  if (node.type !== "object") return node.value;
  const entries = new Map<string, unknown>();
  for (const { children: [key, value] = [] } of node.children ?? []) {
    if (key === undefined || value === undefined) continue;
    const name = String(key.value);
    if (entries.has(name)) repeated.push([...path, name]);
    entries.set(name, valueOf(value, [...path, name], repeated));
  }
  return Object.fromEntries(entries);
}

/**
 * Makes a function that finds where what a path leads to begins: its key, else its value, else whatever is nearest
 * around it. Looks at each object once, as a hostile text may have a complaint for each of its keys.
 */
function offsetFinder(root: Node): (path: Path) => number {
  const seen = new Map<Node, ReadonlyMap<unknown, Node>>();
  const stepsOf = (node: Node): ReadonlyMap<unknown, Node> => {
    const isObject = node.type === "object";
    const steps =
      seen.get(node) ??
      new Map((node.children ?? []).map((child, index) => [isObject ? child.children?.[0]?.value : index, child]));
    seen.set(node, steps);
    return steps;
  };
  return (path) => {
    let node: Node | undefined = root;
    let { offset } = root;
    for (const step of path) {
      const found: Node | undefined = node === undefined ? undefined : stepsOf(node).get(step);
      if (found === undefined) break;
      ({ offset } = found);
      node = found.type === "property" ? found.children?.[1] : found;
    }
    return offset;
  };
}

/** Makes a function from an offset to its line. A hostile text may have a complaint for each of its characters. */
function lineFinder(text: string): (offset: number) => number {
  const starts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
  return (offset) => {
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  };
}
