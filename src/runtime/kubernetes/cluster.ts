/**
 * What the parts of this runtime share: the cluster, what is seen of it, and how an environment of ours is found in it.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import type { Log } from "../../base/log.ts";
import { LABELS } from "../../policy/kubernetes/labels.ts";
import type { ClusterSettings } from "../../wire/cluster-settings.ts";
import type { KubernetesObject } from "../../wire/kubernetes.ts";
import type { ClusterApi, ObjectWatch } from "./api/cluster-api.ts";
import type { Doors } from "./inside/doors.ts";
import type { StartProgram } from "./inside/line.ts";
import { judgePod, type PodState, type RunningPod } from "./judge-pod.ts";
import type { Paths } from "./paths.ts";
import { type Entrance, type Kept, readKept } from "./kept.ts";
import type { Standby } from "./standby.ts";

export interface Cluster {
  readonly api: ClusterApi;
  readonly settings: ClusterSettings;
  /** Tells the services that share a cluster apart. */
  readonly installation: string;
  readonly runs: Runs;
  /** Public key of the gateway, as a line of authorized_keys. */
  readonly gatewayKey: string;
  /** Namespace that we run in ourselves, in this very cluster; absent when we run elsewhere. */
  readonly gateway?: string;
  /** Ours alone. */
  readonly namespaces: ObjectWatch;
  readonly pods: ObjectWatch;
  readonly doors: Doors;
  readonly paths: Paths;
  readonly standby: Standby;
  readonly clock: Clock;
  readonly log: Log;
}

/** Each run of a service has a name of its own; two that take themselves for the same service know only their own. */
export interface Runs {
  /** Of this one. */
  readonly current: string;
  /** Of this one, and of all before it on the same state. */
  readonly all: ReadonlySet<string>;
}

/** An environment as it stands in the cluster. */
export interface Found {
  readonly namespace: KubernetesObject;
  readonly kept: Kept;
}

/** How long to wait for what is known of a cluster that has not answered yet. */
const SYNC_MS = 5_000;

/** Waits until what is seen can be relied on. @throws {Fault} `cluster.unreached` */
export async function untilSeen({ namespaces, pods, settings }: Cluster, signal?: AbortSignal): Promise<void> {
  const late = AbortSignal.timeout(SYNC_MS);
  const both = signal === undefined ? late : AbortSignal.any([signal, late]);
  try {
    await Promise.all([namespaces.untilSynced(both), pods.untilSynced(both)]);
  } catch (cause) {
    signal?.throwIfAborted();
    throw new Fault("cluster.unreached", `Cannot look at cluster ${settings.name}: it does not answer`, {
      told: `the cluster ${settings.name} does not answer; try again in a minute`,
      cause,
    });
  }
}

export function namespaceName({ settings }: Pick<Cluster, "settings">, id: string): string {
  return `${settings.namespacePrefix}${id}`;
}

/** Finds an environment in what is seen; `undefined` when there is none of ours. */
export function findEnvironment(cluster: Cluster, id: string): Found | undefined {
  const namespace = cluster.namespaces.find(undefined, namespaceName(cluster, id));
  if (namespace?.metadata.labels?.[LABELS.installation] !== cluster.installation) return undefined;
  return { namespace, kept: readKept(namespace) };
}

/** Ids of the environments that we have made, half made included: none of a service that goes by the same name. */
export function listOwn({ namespaces, runs }: Cluster): string[] {
  return namespaces.all().flatMap((namespace) => {
    const id = namespace.metadata.labels?.[LABELS.environment];
    const run = runOf(namespace);
    return id === undefined || (run !== undefined && !runs.all.has(run)) ? [] : [id];
  });
}

/** `undefined` where somebody has written something else there. */
function runOf(namespace: KubernetesObject): string | undefined {
  try {
    return readKept(namespace).run;
  } catch {
    return undefined;
  }
}

/** @throws {Fault} `environment.gone` when there is none */
export async function mustFind(cluster: Cluster, id: string): Promise<Found> {
  await untilSeen(cluster);
  const found = findEnvironment(cluster, id);
  if (found !== undefined && !isEnding(found.namespace)) return found;
  throw new Fault("environment.gone", `Cannot find ${id} in cluster ${cluster.settings.name}: it has no namespace`);
}

export function isEnding({ metadata }: KubernetesObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}

/** All pods of an environment that have these labels. */
export function podsOf(
  cluster: Pick<Cluster, "pods" | "settings">,
  id: string,
  { labels }: Pick<Entrance, "labels">,
): KubernetesObject[] {
  const namespace = namespaceName(cluster, id);
  const wanted = Object.entries(labels);
  return cluster.pods
    .all()
    .filter(
      ({ metadata }) =>
        metadata.namespace === namespace && wanted.every(([key, value]) => metadata.labels?.[key] === value),
    );
}

/** Waits for what is seen of pods, no longer than `mostMs`. @throws an AbortError when that has passed, or `signal` aborts */
export async function untilPods<Value>(
  { pods, clock }: Pick<Cluster, "pods" | "clock">,
  { isSo, mostMs }: { readonly isSo: () => Value | undefined; readonly mostMs: number },
  signal: AbortSignal,
): Promise<Value> {
  const late = new AbortController();
  const cancel = clock.after(mostMs, () => late.abort());
  try {
    return await pods.until(isSo, AbortSignal.any([signal, late.signal]));
  } finally {
    cancel();
  }
}

/**
 * Looks for the pod to be entered: the one that is furthest, when a new one replaces an old one. One that has ended, as by an
 * eviction, stays to be looked at and says nothing of the one that is on its way.
 */
export function findPod(cluster: Cluster, id: string, entrance: Pick<Entrance, "labels" | "container">): PodState {
  const states = podsOf(cluster, id, entrance).map((pod) => judgePod(pod, entrance.container));
  const order: readonly PodState["type"][] = ["running", "coming", "failed"];
  const best = order.flatMap((type) => states.find((state) => state.type === type) ?? [])[0];
  return best ?? { type: "coming", step: "making the pod" };
}

/** The pod in which everything is set up, if it runs. */
export function findReadyPod(cluster: Cluster, { kept }: Found): RunningPod | undefined {
  if (kept.entrance === undefined) return undefined;
  const state = findPod(cluster, kept.spec.id, kept.entrance);
  const pod = state.type === "running" ? state.pod : state.type === "coming" ? state.maybe : undefined;
  return pod?.uid === kept.readyPod ? pod : undefined;
}

/** @throws {Fault} `environment.gone` when it does not run */
export async function mustRunIn(cluster: Cluster, id: string): Promise<{ found: Found; pod: RunningPod }> {
  const found = await mustFind(cluster, id);
  const pod = findReadyPod(cluster, found);
  if (pod !== undefined) return { found, pod };
  throw new Fault("environment.gone", `Cannot enter ${id}: it sleeps, needs running`);
}

/** How programs are started in a pod. */
export function execIn(
  { api }: Cluster,
  { namespace, name, container }: RunningPod,
  signal: AbortSignal,
): StartProgram {
  return (argv, options = {}) => api.exec({ namespace, pod: name, container, argv, ...options }, signal);
}
