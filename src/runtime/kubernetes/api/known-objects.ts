/**
 * What a watch knows: the objects of one kind as of one version of the server's state, and what each list and event
 * changes about them. It sends nothing and tells nobody; `watch.ts` does.
 *
 * Resource versions are compared as whole numbers where they are such, which Kubernetes promises since 1.35 (KEP-5504) and
 * kept before; where they are not, only whether they are equal counts.
 *
 * @module
 */
import type { KubernetesObject } from "../../../wire/kubernetes.ts";
import type { WatchChange } from "./cluster-api.ts";

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubernetesObject;
}

export interface KnownObjects {
  /** The server's state that all of it is of; `undefined` before the first list. */
  readonly version: string | undefined;
  find(namespace: string | undefined, name: string): KubernetesObject | undefined;
  all(): readonly KubernetesObject[];
  /** Takes a whole list for what there is. @returns what is different from before, at most two changes for an object */
  replace(objects: readonly KubernetesObject[], version: string): WatchChange[];
  /** @returns what is different from before; `undefined` when the event cannot follow what came before it */
  take(event: WatchEvent): WatchChange[] | undefined;
  /** Moves on to a version that changed nothing here. @returns false when it is an earlier one */
  advance(version: string): boolean;
}

/** Makes a memory that is empty. */
export function makeKnownObjects(): KnownObjects {
  let objects = new Map<string, KubernetesObject>();
  let listed: readonly KubernetesObject[] | undefined;
  let version: string | undefined;

  const replace = (list: readonly KubernetesObject[], at: string): WatchChange[] => {
    // A server that was set back to an earlier state gives out numbers a second time, for other contents.
    const isSetBack = version !== undefined && isBefore(at, version);
    const next = new Map(list.map((object) => [keyOf(object), object]));
    const changes = settle(next, objects, isSetBack);
    objects = next;
    listed = undefined;
    version = at;
    return changes;
  };

  const take = ({ type, object }: WatchEvent): WatchChange[] | undefined => {
    const key = keyOf(object);
    const held = objects.get(key);
    const at = object.metadata.resourceVersion;
    if (at === undefined || version === undefined) return undefined;
    if (held !== undefined && type !== "DELETED" && isSame(held, object)) return [];
    if (at === version) return [];
    if (isBefore(at, version)) return undefined;
    version = at;
    if (type === "DELETED" && held === undefined) return [];
    listed = undefined;
    if (type === "DELETED") {
      objects.delete(key);
      return [{ type: "gone", object }];
    }
    objects.set(key, object);
    const isOther = held !== undefined && held.metadata.uid !== object.metadata.uid;
    return [...(isOther ? [{ type: "gone", object: held } as const] : []), { type: "set", object }];
  };

  return {
    get version() {
      return version;
    },
    find: (namespace, name) => objects.get(`${namespace ?? ""}/${name}`),
    all: () => (listed ??= [...objects.values()]),
    replace,
    take,
    advance: (to) => {
      if (version !== undefined && isBefore(to, version)) return false;
      version = to;
      return true;
    },
  };
}

/**
 * Says what is different in `next`. What is the same there becomes the object that was known before, so that whoever holds
 * it need not hold another.
 */
function settle(
  next: Map<string, KubernetesObject>,
  before: ReadonlyMap<string, KubernetesObject>,
  isSetBack: boolean,
): WatchChange[] {
  const changes: WatchChange[] = [];
  for (const [key, held] of before) {
    if (next.get(key)?.metadata.uid !== held.metadata.uid || !next.has(key))
      changes.push({ type: "gone", object: held });
  }
  for (const [key, object] of next) {
    const held = before.get(key);
    const isKnown = held !== undefined && isSame(held, object) && (!isSetBack || isEqual(held, object));
    if (isKnown) next.set(key, held);
    else changes.push({ type: "set", object });
  }
  return changes;
}

/** Says whether one version of the server's state is earlier than another; no where that cannot be told. */
export function isBefore(one: string, other: string): boolean {
  const isNumbers = /^[1-9]\d*$/.test(one) && /^[1-9]\d*$/.test(other);
  return isNumbers && (one.length === other.length ? one < other : one.length < other.length);
}

function keyOf({ metadata }: KubernetesObject): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}

function isSame({ metadata: one }: KubernetesObject, { metadata: other }: KubernetesObject): boolean {
  return one.uid === other.uid && one.resourceVersion === other.resourceVersion;
}

function isEqual(one: KubernetesObject, other: KubernetesObject): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
