/**
 * Applies objects to a cluster.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import { kinds, type KubernetesObject, type ObjectKind } from "../../wire/kubernetes.ts";
import type { Cluster } from "./cluster.ts";

/** Applies them all at the same time, and tells the first that cannot be. */
export async function applyAll(
  cluster: Cluster,
  objects: readonly KubernetesObject[],
  signal: AbortSignal,
): Promise<void> {
  const results = await Promise.allSettled(
    objects.map(async (object) => cluster.api.apply(await kindOf(cluster, object, signal), object, signal)),
  );
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

const known = new Map<string, ObjectKind>(
  Object.values(kinds).map((kind) => [`${kind.apiVersion} ${kind.kind}`, kind]),
);

async function kindOf(
  { api, settings }: Cluster,
  { apiVersion, kind }: KubernetesObject,
  signal: AbortSignal,
): Promise<ObjectKind> {
  const found = known.get(`${apiVersion} ${kind}`) ?? (await api.findKind(apiVersion, kind, signal));
  if (found !== undefined) return found;
  throw new Fault(
    "cluster.refused",
    `Cannot apply a ${kind} of ${apiVersion}: cluster ${settings.name} has no such kind`,
    {
      told: `the cluster ${settings.name} knows no ${kind} of ${apiVersion}`,
    },
  );
}
