/**
 * Tells of environments what their namespaces say, for whoever found them without a record: `Runtime.describe`.
 *
 * How old one is is told by the clock of the API server alone, which wrote down when it was made: ours may be wrong.
 *
 * @module
 */
import { LABELS } from "../../policy/kubernetes/labels.ts";
import type { KubernetesObject } from "../../wire/kubernetes.ts";
import type { Described } from "../runtime.ts";
import { type Cluster, namespaceName, untilSeen } from "./cluster.ts";
import { readKept } from "./kept.ts";

/** Leaves out what is not there, and all of them where the server does not tell its time. */
export async function describeFound(
  cluster: Cluster,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<readonly Described[]> {
  await untilSeen(cluster, signal);
  const { saidAt } = await cluster.api.version(signal);
  return ids.flatMap((id) => {
    // Not by what is kept in it: where that is damaged, the others are to be told of all the same.
    const namespace = cluster.namespaces.find(undefined, namespaceName(cluster, id));
    if (namespace?.metadata.labels?.[LABELS.installation] !== cluster.installation) return [];
    const ageMs = (saidAt ?? Number.NaN) - Date.parse(namespace.metadata.creationTimestamp ?? "");
    return Number.isNaN(ageMs) ? [] : [{ id, ageMs, isMember: isMember(namespace) }];
  });
}

/** Says whether it is surely nobody's: not where what is kept is damaged, which says whose it is too. */
function isMember(namespace: KubernetesObject): boolean {
  if (namespace.metadata.labels?.[LABELS.pool] === undefined) return false;
  try {
    readKept(namespace);
    return true;
  } catch {
    return false;
  }
}
