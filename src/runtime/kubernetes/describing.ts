/**
 * Tells of environments what their namespaces say, for whoever found them without a record: `Runtime.describe`.
 *
 * How old one is is told by the clock of the API server alone, which wrote down when it was made: ours may be wrong.
 *
 * @module
 */
import { LABELS } from "../../policy/kubernetes/labels.ts";
import type { Described } from "../runtime.ts";
import { type Cluster, findEnvironment, untilSeen } from "./cluster.ts";

/** Leaves out what is not there, and all of them where the server does not tell its time. */
export async function describeFound(
  cluster: Cluster,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<readonly Described[]> {
  await untilSeen(cluster, signal);
  const { saidAt } = await cluster.api.version(signal);
  return ids.flatMap((id) => {
    const { metadata } = findEnvironment(cluster, id)?.namespace ?? {};
    const ageMs = (saidAt ?? Number.NaN) - Date.parse(metadata?.creationTimestamp ?? "");
    return Number.isNaN(ageMs) ? [] : [{ id, ageMs, isMember: metadata?.labels?.[LABELS.pool] !== undefined }];
  });
}
