/**
 * Removes an environment and waits until nothing of it is seen any more: `Runtime.destroy`.
 *
 * Asking for the namespace to be deleted is all that is needed, and a deletion that was asked for is not yet one that
 * happened: https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
 *
 * @module
 */
import { z } from "zod";
import { Fault } from "../../base/fault.ts";
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import { type Cluster, findEnvironment, isEnding, namespaceName } from "./cluster.ts";
import { endWorkloads } from "./sleeping.ts";

/** How long whoever asked waits; it is gone on with by the next look (guess: a namespace takes 5 to 20 s). */
const GONE_MS = 60_000;

/** How long pods are waited for before their namespace is (guess: twice what a busy node takes). */
const PODS_MS = 15_000;

/** @throws {Fault} `environment.stuck` naming what holds it */
export async function destroyEnvironment(cluster: Cluster, id: string, signal: AbortSignal): Promise<void> {
  const { api, namespaces, clock } = cluster;
  cluster.doors.close(id);
  const name = namespaceName(cluster, id);
  const find = () => findEnvironment(cluster, id)?.namespace;
  const namespace = find();
  if (namespace === undefined) return;
  if (!isEnding(namespace)) {
    await endPods(cluster, id, signal);
    const { uid } = namespace.metadata;
    await api.remove({ of: kinds.namespace, name }, uid === undefined ? {} : { uid }, signal);
  }
  const late = new AbortController();
  const cancel = clock.after(GONE_MS, () => late.abort());
  try {
    await namespaces.until(() => find() === undefined || undefined, AbortSignal.any([signal, late.signal]));
  } catch (cause) {
    signal.throwIfAborted();
    const now = find();
    if (now === undefined) return;
    const holder = holderOf(now);
    throw new Fault("environment.stuck", `Cannot destroy ${id}: namespace ${name} does not go, ${holder}`, {
      told: `it is being removed, but ${holder}`,
      cause,
    });
  } finally {
    cancel();
  }
}

/**
 * Pods go first, and at once, since nobody is in them any more: a namespace that finds some left looks again only after a
 * multiple of their grace. One that does not go is for the namespace to wait for.
 */
async function endPods(cluster: Cluster, id: string, signal: AbortSignal): Promise<void> {
  try {
    await endWorkloads(cluster, id, { removal: { graceSeconds: 1 }, mostMs: PODS_MS }, signal);
  } catch (error) {
    signal.throwIfAborted();
    cluster.log.warn("kubernetes.pods-stay", { environment: id, err: error });
  }
}

const Status = z.object({
  conditions: z.array(z.object({ type: z.string(), status: z.string(), message: z.string().default("") })).default([]),
});

/** What the namespace controller waits for, in the order in which it tells most. */
const HOLDERS = [
  "NamespaceFinalizersRemaining",
  "NamespaceContentRemaining",
  "NamespaceDeletionContentFailure",
  "NamespaceDeletionDiscoveryFailure",
  "NamespaceDeletionGroupVersionParsingFailure",
];

function holderOf(namespace: KubernetesObject): string {
  const finalizers = namespace.metadata.finalizers ?? [];
  if (finalizers.length > 0) return `the finalizer ${finalizers.join(", ")} of its namespace holds it`;
  const { conditions } = Status.parse(namespace["status"] ?? {});
  const told = HOLDERS.flatMap((type) => conditions.find((one) => one.type === type && one.status === "True") ?? []);
  return told[0]?.message ?? "the cluster does not say what holds it";
}
