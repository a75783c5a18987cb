/**
 * Which kinds a server serves, asked for a group at a time and kept.
 *
 * @module
 */
import type { ObjectKind } from "../../../wire/kubernetes.ts";
import type { Connection } from "./connection.ts";
import { isRecord } from "./objects.ts";
import type { Requests } from "./requests.ts";
import { unreachedFault } from "./server-status.ts";

export interface KindFinder {
  /** @returns `undefined` when the server has no such kind. @throws {Fault} `cluster.*` */
  find(apiVersion: string, kind: string, signal: AbortSignal): Promise<ObjectKind | undefined>;
}

/** A kind that was not there may be by now: somebody installs an operator. */
const ABSENT_MS = 30_000;

export function openKindFinder(connection: Connection, requests: Requests): KindFinder {
  const groups = new Map<string, { readonly kinds: ReadonlyMap<string, ObjectKind>; readonly askedAtMs: number }>();

  const find = async (apiVersion: string, kind: string, signal: AbortSignal): Promise<ObjectKind | undefined> => {
    // It becomes part of a path, and comes from manifests.
    if (!/^([a-z0-9.-]+\/)?[a-z0-9]+$/.test(apiVersion)) return undefined;
    const nowMs = connection.clock.elapsed();
    const known = groups.get(apiVersion);
    const found = known?.kinds.get(kind);
    if (found !== undefined || (known !== undefined && nowMs - known.askedAtMs < ABSENT_MS)) return found;
    const kinds = await readKinds(apiVersion, { connection, requests }, signal);
    groups.set(apiVersion, { kinds, askedAtMs: nowMs });
    return kinds.get(kind);
  };
  return { find };
}

async function readKinds(
  apiVersion: string,
  { connection, requests }: { readonly connection: Connection; readonly requests: Requests },
  signal: AbortSignal,
): Promise<Map<string, ObjectKind>> {
  const asked = { verb: "get", resource: "kinds" };
  const path = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const answer = await requests.send({ ...asked, method: "GET", path, isRepeatable: true, expected: [404] }, signal);
  const kinds = new Map<string, ObjectKind>();
  if (answer.status === 404) return kinds;
  const resources = isRecord(answer.body) ? answer.body["resources"] : undefined;
  if (!Array.isArray(resources))
    throw unreachedFault(connection.name, asked, `the answer lists no kinds of ${apiVersion}`);
  for (const entry of resources as unknown[]) {
    if (!isRecord(entry)) continue;
    const { name, kind, namespaced } = entry;
    // `pods/exec` and its like are no kinds of objects.
    if (typeof name !== "string" || name.includes("/") || typeof kind !== "string") continue;
    kinds.set(kind, { apiVersion, kind, resource: name, isNamespaced: namespaced === true });
  }
  return kinds;
}
