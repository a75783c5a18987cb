/**
 * Settings files: YAML that is unknown until it was checked once, whole. Knows no setting; `wire/settings.ts` does.
 *
 * Called by `cmd/` through it. Reading the file, and files that it names, is the caller's.
 *
 * @module
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Pair,
  type ParsedNode,
} from "yaml";
import type { z } from "zod";
import { checkShape, type Complaint, type LineOf, type Path, writeComplaints } from "./complaint.ts";
import { Fault } from "./fault.ts";

/**
 * Checks the text of a settings file and returns what the schema makes of it, frozen all through.
 *
 * @param source how the file is called in complaints
 * @throws {Fault} `settings.invalid` with every complaint: `slipway.yaml:7: listen.ssh[0]: needs …`
 */
export function checkSettings<T>(schema: z.ZodType<T>, text: string, source: string): T {
  const read = readYaml(text);
  const shaped = read.isBroken ? { complaints: [] } : checkShape(schema, read.value, read.lineOf);
  const complaints = [...read.complaints, ...("complaints" in shaped ? shaped.complaints : [])];
  if ("data" in shaped && complaints.length === 0) return frozen(shaped.data);
  const told = writeComplaints(source, complaints);
  throw new Fault("settings.invalid", told, { told });
}

interface Yaml {
  readonly value: unknown;
  readonly lineOf: LineOf;
  readonly complaints: readonly Complaint[];
  /** The text is no YAML, so that looking at its value would only add noise. */
  readonly isBroken: boolean;
}

function readYaml(text: string): Yaml {
  const counter = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: counter,
    prettyErrors: false,
    uniqueKeys: false,
    logLevel: "error",
  });
  const lineAt = (offset: number): number => counter.linePos(offset).line;
  const lineOf: LineOf = (path) => lineAt(offsetOf(document, path));
  const complaints = [...document.errors, ...document.warnings].map(({ pos, message }) => ({
    line: lineAt(pos[0]),
    path: [],
    message: `this is no YAML that we read: ${message.split(/[;\n]/)[0] ?? ""}`,
  }));
  if (complaints.length > 0) return { value: undefined, lineOf, complaints, isBroken: true };
  const value = toValue(document);
  if ("unresolved" in value) return { value: undefined, lineOf, complaints: [value.unresolved], isBroken: true };
  return { ...value, lineOf, complaints: keyComplaints(document.contents, [], lineAt), isBroken: false };
}

function toValue(document: Document.Parsed): { value: unknown } | { unresolved: Complaint } {
  try {
    const value: unknown = document.toJS();
    return { value: value ?? {} }; // an empty file is told what is missing, as one with a comment is
  } catch (error) {
    // An alias without an anchor, or so many of them that the value would fill the memory: yaml Alias.toJSON.
    if (!(error instanceof ReferenceError)) throw error;
    return { unresolved: { line: 1, path: [], message: `this is no YAML that we read: ${error.message}` } };
  }
}

/** Complains of keys that would silently win or lose: those given twice, and one that JavaScript reads as no key. */
function keyComplaints(node: ParsedNode | null, path: Path, lineAt: (offset: number) => number): Complaint[] {
  if (isSeq(node)) return node.items.flatMap((item, index) => keyComplaints(item, [...path, index], lineAt));
  if (!isMap(node)) return [];
  const firstLines = new Map<string, number>();
  return node.items.flatMap(({ key, value }) => {
    const name = keyOf(key);
    const here = { line: lineAt(key.range[0]), path: [...path, name] };
    if (!isScalar(key)) return [{ ...here, message: "needs a plain word as its key" }];
    const firstLine = firstLines.get(name);
    const inside = keyComplaints(value, here.path, lineAt);
    if (firstLine !== undefined) return [{ ...here, message: `is here twice, first on line ${firstLine}` }, ...inside];
    firstLines.set(name, here.line);
    return name === "__proto__" ? [{ ...here, message: "cannot be used as a key" }] : inside;
  });
}

/** Where what a path leads to begins: its key, else its value, else whatever is nearest around it. */
function offsetOf(document: Document.Parsed, path: Path): number {
  let node: ParsedNode | null | undefined = document.contents;
  let offset = 0;
  for (const step of path) {
    if (isAlias(node)) return offset;
    if (isMap(node)) {
      const pair: Pair<ParsedNode, ParsedNode | null> | undefined = node.items.findLast(
        (item) => keyOf(item.key) === String(step),
      );
      if (pair === undefined) break;
      offset = pair.key.range[0];
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      offset = node?.range[0] ?? offset;
    } else {
      break;
    }
  }
  return offset;
}

/** The key as toJS() has it. What is no plain word is complained of and needs no name. */
function keyOf(key: ParsedNode): string {
  if (!isScalar(key)) return "?";
  const { value } = key;
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}

function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) frozen(inner);
  }
  return value;
}
