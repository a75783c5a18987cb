/**
 * Keeps what is ours out of what people write: labels, annotations and selectors with our prefix.
 *
 * @module
 */
import { type Fields, isFields } from "./fields.ts";
import { isReserved } from "./labels.ts";

export interface Unreserved {
  readonly value: unknown;
  /** Paths of labels and annotations that were left out. */
  readonly dropped: readonly (readonly (string | number)[])[];
  /** Paths of uses that mean something else without them: selectors. */
  readonly refused: readonly (readonly (string | number)[])[];
}

/** Where keys that cannot be ours are put by us alone. */
const LABELLED = new Set<string | number | undefined>(["labels", "annotations"]);

/** Fields whose value names a label. */
const NAMING = new Set(["key", "topologyKey", "labelSelector"]);

/** Leaves the labels and annotations with our prefix out of a value, wherever in it they are. */
export function withoutReserved(given: unknown): Unreserved {
  const dropped: (string | number)[][] = [];
  const refused: (string | number)[][] = [];
  const walk = (value: unknown, path: (string | number)[]): unknown => {
    if (Array.isArray(value)) return value.map((item: unknown, index) => walk(item, [...path, index]));
    if (!isFields(value)) return value;
    const isLabelled = LABELLED.has(path.at(-1));
    const kept: [string, unknown][] = [];
    for (const [name, inner] of Object.entries(value)) {
      const here = [...path, name];
      if (isReserved(name)) (isLabelled ? dropped : refused).push(here);
      else if (NAMING.has(name) && typeof inner === "string" && isReserved(inner)) refused.push(here);
      else kept.push([name, walk(inner, here)]);
    }
    return Object.fromEntries(kept);
  };
  return { value: walk(given, []), dropped, refused };
}

/** More than any object that a server takes (1.5 MiB of JSON), and than one that can be walked without care. */
const NODES_MAX = 100_000;
const DEPTH_MAX = 64;
const TEXT_MAX = 1_500_000;

/** Says why an object is too large or too deep to be looked at; `undefined` when it is not. */
export function tooMuch(object: Fields): string | undefined {
  let nodes = 0;
  let length = 0;
  const open: { readonly value: unknown; readonly depth: number }[] = [{ value: object, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, depth } = next;
    nodes += 1;
    if (typeof value === "string") length += value.length;
    if (nodes > NODES_MAX || length > TEXT_MAX) return "is larger than a cluster takes";
    if (typeof value !== "object" || value === null) continue;
    if (depth === DEPTH_MAX) return `is nested deeper than ${DEPTH_MAX} levels`;
    for (const [name, inner] of Object.entries(value)) {
      length += name.length;
      open.push({ value: inner, depth: depth + 1 });
    }
  }
  return undefined;
}
