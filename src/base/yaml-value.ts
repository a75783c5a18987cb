/**
 * JSON values of the nodes of a YAML document. The library's own conversion is not used: what it makes of a mapping as a
 * key, or of aliases, grows without bounds with hostile texts (measured 2026-11-21 with yaml 2.9.1: minutes for 2 kB).
 *
 * Called by `yaml.ts` alone.
 *
 * @module
 */
import { type Alias, isAlias, isScalar, isSeq, type ParsedNode, type YAMLMap, type YAMLSeq } from "yaml";
import type { Complaint, Path } from "./complaint.ts";

export interface ToJsonOptions {
  readonly lineAt: (offset: number) => number;
  /** Nodes that may still be made, of all documents of a text, aliases unfolded. */
  readonly budget: { nodesLeft: number };
}

/** Deeper than any manifest; a schema of a custom resource has some 30 levels (guess). */
const DEPTH_MAX = 100;

/** Makes the value of a node, and says what of it cannot be. Never throws. */
export function toJson(
  node: ParsedNode | null,
  options: ToJsonOptions,
): { readonly value: unknown; readonly complaints: readonly Complaint[] } {
  const walk = new Walk(options);
  return { value: walk.valueOf(node, []), complaints: walk.complaints };
}

type MapNode = YAMLMap.Parsed;
type SeqNode = YAMLSeq.Parsed;

class Walk {
  readonly complaints: Complaint[] = [];
  readonly #options: ToJsonOptions;
  /** The last node with the anchor that was begun so far. */
  readonly #anchored = new Map<string, ParsedNode>();
  /** Nodes that are being made: an alias to one of them would never end. */
  readonly #open = new Set<ParsedNode>();
  /** Above 0 inside of what an alias stands for, where anchors have been seen already. */
  #unfolding = 0;

  constructor(options: ToJsonOptions) {
    this.#options = options;
  }

  valueOf(node: ParsedNode | null, path: Path): unknown {
    if (node === null) return null;
    const { budget } = this.#options;
    budget.nodesLeft -= 1;
    if (budget.nodesLeft < 0) return this.#tooMuch(node);
    if (path.length > DEPTH_MAX) return this.#refuse(node, [], `is nested deeper than ${DEPTH_MAX} levels`);
    if (isAlias(node)) return this.#unfolded(node, path);
    if (node.anchor !== undefined && this.#unfolding === 0) this.#anchored.set(node.anchor, node);
    if (isScalar(node)) return this.#scalar(node.value, node, path);
    this.#open.add(node);
    const value = isSeq(node) ? this.#list(node, path) : this.#object(node, path);
    this.#open.delete(node);
    return value;
  }

  #refuse(node: ParsedNode, path: Path, message: string): null {
    this.complaints.push({ line: this.#options.lineAt(node.range[0]), path, message });
    return null;
  }

  /** Once: there is nothing left for anything behind it. */
  #tooMuch(node: ParsedNode): null {
    if (this.#options.budget.nodesLeft === -1) this.#refuse(node, [], "has more in it than we read, aliases unfolded");
    return null;
  }

  #unfolded(alias: Alias.Parsed, path: Path): unknown {
    const meant = this.#anchored.get(alias.source);
    if (meant === undefined) return this.#refuse(alias, path, "is an alias of an anchor that is not there before it");
    if (this.#open.has(meant)) return this.#refuse(alias, path, "is an alias of something that it is a part of");
    this.#unfolding += 1;
    const value = this.valueOf(meant, path);
    this.#unfolding -= 1;
    return value;
  }

  #scalar(value: unknown, node: ParsedNode, path: Path): unknown {
    if (value === null || typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    return this.#refuse(node, path, "needs a text, a number, true, false or null");
  }

  #list(node: SeqNode, path: Path): unknown[] {
    const list: unknown[] = [];
    for (const [index, item] of node.items.entries()) {
      if (this.#options.budget.nodesLeft < 0) break;
      list.push(this.valueOf(item, [...path, index]));
    }
    return list;
  }

  #object(node: MapNode, path: Path): Record<string, unknown> {
    const own = new Map<string, unknown>();
    const merged = new Map<string, unknown>();
    for (const { key, value } of node.items) {
      if (this.#options.budget.nodesLeft < 0) break;
      if (!isScalar(key)) {
        this.#refuse(key, path, "needs a plain word as its key");
        continue;
      }
      const name = String(key.value);
      const here = [...path, name];
      if (name === "__proto__") this.#refuse(key, path, "cannot have __proto__ as a key");
      else if (name === "<<" && key.type === "PLAIN") this.#merge(value, here, merged);
      else if (own.has(name)) this.#refuse(key, here, "is here twice");
      else own.set(name, this.valueOf(value, here));
    }
    return Object.fromEntries([...merged, ...own]);
  }

  /** https://yaml.org/type/merge.html: what is there already, and what comes from an earlier one, counts. */
  #merge(node: ParsedNode | null, path: Path, into: Map<string, unknown>): void {
    const given = this.valueOf(node, path);
    const parts: unknown[] = Array.isArray(given) ? given : [given];
    for (const part of parts) {
      if (typeof part !== "object" || part === null || Array.isArray(part)) {
        if (node !== null) this.#refuse(node, path, "needs objects to merge");
        return;
      }
      for (const [name, value] of Object.entries(part)) if (!into.has(name)) into.set(name, value);
    }
  }
}
