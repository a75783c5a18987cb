/**
 * Removes an environment and waits until nothing of it is seen any more: `Runtime.destroy`.
 *
 * Asking for the namespace to be deleted is all that is needed, and a deletion that was asked for is not yet one that
 * happened: https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
 *
 * What another service has gone on with is left alone, whatever our own record says: see `keeping.ts`.
 *
 * @module
 */
import { z } from "zod";
import { Fault } from "../../base/fault.ts";
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import { type Cluster, findEnvironment, isEnding, namespaceName } from "./cluster.ts";
import { mustBeOurs } from "./keeping.ts";
import { endWorkloads } from "./sleeping.ts";

/** How long whoever asked waits; it is gone on with by the next look (guess: 5 to 20 s, and 90 s on a node with too much to do). */
const GONE_MS = 120_000;

/** The same of one that was asked to go before: others wait for whoever looks at it again (guess). */
const AGAIN_MS = 20_000;

/** The same from when something of somebody else's is seen to hold it, which is lifted at once or by hand (guess). */
const HELD_MS = 10_000;

/** How long pods are waited for before their namespace is (guess: twice what a busy node takes). */
const PODS_MS = 15_000;

/** What is to go. */
export interface Doomed {
  readonly id: string;
  /** Fence of the operation that destroys it; absent for what has no record. */
  readonly generation?: number | undefined;
}

/** @throws {Fault} `environment.stuck` naming what holds it, or `environment.overtaken` when it is another service's */
export async function destroyEnvironment(cluster: Cluster, doomed: Doomed, signal: AbortSignal): Promise<void> {
  const { id } = doomed;
  const name = namespaceName(cluster, id);
  const find = () => findEnvironment(cluster, id)?.namespace;
  const namespace = find();
  if (namespace !== undefined && !isEnding(namespace)) mustBeOurs(cluster, namespace, doomed);
  cluster.doors.close(id);
  if (namespace === undefined) return;
  if (!isEnding(namespace)) {
    await endPods(cluster, id, signal);
    await removeNamespace(cluster, doomed, signal);
  }
  try {
    await untilGone(cluster, { find, mostMs: isEnding(namespace) ? AGAIN_MS : GONE_MS }, signal);
  } catch (cause) {
    signal.throwIfAborted();
    const now = find();
    if (now === undefined) return;
    const holder = holderOf(now);
    throw new Fault("environment.stuck", `Cannot destroy ${id}: namespace ${name} does not go, ${holder}`, {
      told: `it is being removed, but ${holder}`,
      cause,
    });
  }
}

/** How often others may write on a namespace between our look and our word, as the controllers of the cluster do. */
const TRIES = 5;

/** Has it removed in the very state that was looked at, so that no other service goes on with it in between. */
async function removeNamespace(cluster: Cluster, doomed: Doomed, signal: AbortSignal): Promise<void> {
  const ref = { of: kinds.namespace, name: namespaceName(cluster, doomed.id) };
  let there = findEnvironment(cluster, doomed.id)?.namespace;
  for (let tryCount = 1; there !== undefined && !isEnding(there); tryCount += 1) {
    mustBeOurs(cluster, there, doomed);
    const { uid, resourceVersion } = there.metadata;
    const state = { ...(uid !== undefined && { uid }), ...(resourceVersion !== undefined && { resourceVersion }) };
    if ((await cluster.api.remove(ref, state, signal)) !== "changed") return;
    if (tryCount === TRIES) {
      const why = `others wrote on its namespace ${TRIES} times meanwhile`;
      throw new Fault("environment.stuck", `Cannot destroy ${doomed.id}: ${why}`, { told: `it stays: ${why}` });
    }
    there = await cluster.api.read(ref, signal);
  }
}

async function untilGone(
  { namespaces, clock }: Cluster,
  { find, mostMs }: { readonly find: () => KubernetesObject | undefined; readonly mostMs: number },
  signal: AbortSignal,
): Promise<void> {
  const late = new AbortController();
  const cancels = [clock.after(mostMs, () => late.abort())];
  const isGone = (): true | undefined => {
    const now = find();
    if (now === undefined) return true;
    if (cancels.length === 1 && isHeldByOthers(now)) cancels.push(clock.after(HELD_MS, () => late.abort()));
    return undefined;
  };
  try {
    await namespaces.until(isGone, AbortSignal.any([signal, late.signal]));
  } finally {
    for (const cancel of cancels) cancel();
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
  const told = HOLDERS.flatMap((type) => messageOf(namespace, type) ?? []);
  return told.length === 0 ? "the cluster does not say what holds it" : told.join("; ");
}

/**
 * Says whether it waits for a finalizer that is not of Kubernetes itself. The message is that of `namespace_conditions.go` of
 * Kubernetes: `Some content in the namespace has finalizers remaining: a.example/b in 1 resource instances, …`.
 */
function isHeldByOthers(namespace: KubernetesObject): boolean {
  const message = messageOf(namespace, "NamespaceFinalizersRemaining") ?? "";
  const names = [...message.matchAll(/([^\s,]+) in [0-9]+ resource instances/g)].map(([, name = ""]) => name);
  return names.some((name) => name.includes("/") && !/(^|\.)(kubernetes|k8s)\.io\//.test(name));
}

function messageOf(namespace: KubernetesObject, type: string): string | undefined {
  const { conditions } = Status.parse(namespace["status"] ?? {});
  return conditions.find((one) => one.type === type && one.status === "True")?.message;
}
