/**
 * What a server sent, taken for objects after a look at the fields that are read, and where objects are served.
 *
 * @module
 */
import type { KubernetesObject, ObjectKind } from "../../../wire/kubernetes.ts";

/** Where objects of a kind are served: `/apis/apps/v1/namespaces/a/deployments/b`. */
export function pathOf(kind: ObjectKind, namespace?: string, name?: string): string {
  const root = kind.apiVersion.includes("/") ? `/apis/${kind.apiVersion}` : `/api/${kind.apiVersion}`;
  const within = kind.isNamespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  const one = name === undefined ? "" : `/${encodeURIComponent(name)}`;
  return `${root}${within}/${kind.resource}${one}`;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Takes a value for an object of a kind, `undefined` where it is none. Changes it: what lists leave out is filled in, and
 * `managedFields`, which nobody reads and which are half of many objects, are dropped.
 */
export function takeObject(value: unknown, kind: ObjectKind): KubernetesObject | undefined {
  if (!isRecord(value)) return undefined;
  value["apiVersion"] ??= kind.apiVersion;
  value["kind"] ??= kind.kind;
  if (isRecord(value["metadata"])) delete value["metadata"]["managedFields"];
  return isObject(value) ? value : undefined;
}

/** A page of a list. */
export interface Page {
  readonly objects: readonly KubernetesObject[];
  readonly resourceVersion: string;
  /** Where the next page begins. */
  readonly continue?: string;
}

/** Takes a value for a page of objects of a kind, `undefined` where it, or one of its items, is none. */
export function takePage(value: unknown, kind: ObjectKind): Page | undefined {
  if (!isRecord(value) || !isRecord(value["metadata"])) return undefined;
  // A server that has none of a kind may say null.
  const items: unknown = value["items"] ?? [];
  const { resourceVersion = "", continue: next } = value["metadata"];
  if (!Array.isArray(items) || typeof resourceVersion !== "string") return undefined;
  const objects: KubernetesObject[] = [];
  for (const item of items) {
    const object = takeObject(item, kind);
    if (object === undefined) return undefined;
    objects.push(object);
  }
  return { objects, resourceVersion, ...(typeof next === "string" && next !== "" && { continue: next }) };
}

function isObject(value: Record<string, unknown>): value is KubernetesObject {
  const meta = value["metadata"];
  return (
    typeof value["apiVersion"] === "string" &&
    typeof value["kind"] === "string" &&
    isRecord(meta) &&
    typeof meta["name"] === "string" &&
    TEXTS.every((field) => isAbsentOr(meta[field], (text) => typeof text === "string")) &&
    isAbsentOr(meta["labels"], isTable) &&
    isAbsentOr(meta["annotations"], isTable) &&
    isAbsentOr(meta["finalizers"], (list) => Array.isArray(list) && list.every((item) => typeof item === "string")) &&
    isAbsentOr(meta["ownerReferences"], (list) => Array.isArray(list) && list.every(isOwner))
  );
}

const TEXTS = ["namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"] as const;

function isAbsentOr(value: unknown, is: (value: unknown) => boolean): boolean {
  return value === undefined || is(value);
}

function isTable(value: unknown): boolean {
  return isRecord(value) && Object.values(value).every((text) => typeof text === "string");
}

function isOwner(value: unknown): boolean {
  return (
    isRecord(value) &&
    ["apiVersion", "kind", "name", "uid"].every((field) => typeof value[field] === "string") &&
    isAbsentOr(value["controller"], (is) => typeof is === "boolean")
  );
}
