/**
 * Ends what runs of an environment and keeps its files: `Runtime.sleep`.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import type { Unsaved } from "../runtime.ts";
import type { Removal } from "./api/cluster-api.ts";
import { type Cluster, findReadyPod, type Found, isEnding, namespaceName, untilPods } from "./cluster.ts";
import { mayRunUnseen } from "./judge-pod.ts";
import { keepOf } from "./keeping.ts";
import { type Rest, restsOf } from "./resting.ts";

/**
 * How long pods may take to be gone, for whose grace kubelets wait; nodes may be away (guess). Kubelet 1.20.2 took up to 60 s where
 * it was busy: it takes the pod's own container away only once a minute.
 */
export const ENDED_MS = 120_000;

/** Kubelets look once a second whether a container runs (guess: busy ones in a few). */
const SEEN_MS = 5_000;

/**
 * @param look finds unsaved work while somebody can still look
 * @throws {Fault} `runtime.unable` where files would be lost
 */
export async function putToSleep(
  cluster: Cluster,
  found: Found,
  look: () => Promise<Unsaved>,
  signal: AbortSignal,
): Promise<void> {
  const { kept } = found;
  const { id } = kept.spec;
  const told = whySleepless(cluster, found);
  if (told !== undefined) throw new Fault("runtime.unable", `Cannot put ${id} to sleep: ${told}`, { told });
  const unsaved = findReadyPod(cluster, found) === undefined ? kept.unsaved : await tryLook(look);
  const { readyPod: _readyPod, unsaved: _unsaved, ...rest } = kept;
  await keepOf(cluster, id, { ...rest, ...(unsaved === undefined ? {} : { unsaved }) }, signal);
  cluster.doors.close(id);
  await endWorkloads(cluster, id, { removal: {}, mostMs: ENDED_MS }, signal);
}

export interface Ending {
  readonly removal: Pick<Removal, "graceSeconds">;
  readonly mostMs: number;
}

/** What cannot be looked at counts as work. */
async function tryLook(look: () => Promise<Unsaved>): Promise<Unsaved> {
  try {
    return await look();
  } catch {
    const doubts = ["it was put to sleep before anybody could look for work in it"];
    return { changedPaths: [], changedCount: 0, commits: [], commitCount: 0, doubts };
  }
}

/** Ends all pods of an environment and resolves when none is seen any more. @throws {Fault} `environment.stuck` */
export async function endWorkloads(
  cluster: Cluster,
  id: string,
  { removal, mostMs }: Ending,
  signal: AbortSignal,
): Promise<void> {
  const { api, pods } = cluster;
  const namespace = namespaceName(cluster, id);
  const mine = () => pods.all().filter(({ metadata }) => metadata.namespace === namespace);
  await untilSeenToRun(cluster, mine, signal);
  for (const rest of restsOf(await api.version(signal))) await putToRest(cluster, namespace, rest, signal);
  await Promise.all(
    mine().map(({ metadata: { name } }) => api.remove({ of: kinds.pod, namespace, name }, removal, signal)),
  );
  try {
    await untilPods(cluster, { isSo: () => mine().length === 0 || undefined, mostMs }, signal);
  } catch (cause) {
    signal.throwIfAborted();
    const names = mine().map(({ metadata }) => metadata.name);
    const finalizers = new Set(mine().flatMap(({ metadata }) => metadata.finalizers ?? []));
    const why = finalizers.size === 0 ? "its node may be away" : `the finalizer ${[...finalizers].join(", ")} holds it`;
    throw new Fault("environment.stuck", `Cannot end ${id}: pods ${names.join(", ")} do not go, ${why}`, {
      told: `the pod ${names.join(", ")} does not end; ${why}`,
      cause,
    });
  }
}

/**
 * Waits until kubelets have seen which containers run, as we enter some before. To an old one a container that it has not seen
 * is one that does not run: a pod removed then ran on for 80 s, until it was looked at again (kubelet 1.20.2).
 */
async function untilSeenToRun(
  cluster: Cluster,
  mine: () => readonly KubernetesObject[],
  signal: AbortSignal,
): Promise<void> {
  const isSeen = (): true | undefined => !mine().some((pod) => !isEnding(pod) && mayRunUnseen(pod)) || undefined;
  await untilPods(cluster, { isSo: isSeen, mostMs: SEEN_MS }, signal).catch(() => signal.throwIfAborted());
}

/** All of a kind, whoever made them: what a CronJob makes has none of our labels. */
async function putToRest(
  { api }: Pick<Cluster, "api">,
  namespace: string,
  { of, patch }: Rest,
  signal: AbortSignal,
): Promise<void> {
  const workloads = await api.list(of, { namespace }, signal);
  await Promise.all(
    workloads.map((workload) => {
      const ref = { of, namespace, name: workload.metadata.name };
      // Nobody would wake the run of a CronJob, which makes another when it is its time.
      return isRun(workload) ? api.remove(ref, {}, signal) : api.merge(ref, patch, signal);
    }),
  );
}

function isRun({ metadata: { ownerReferences = [] } }: KubernetesObject): boolean {
  return ownerReferences.some(({ kind, controller }) => kind === kinds.cronJob.kind && controller === true);
}

/** Says why files would be lost, where they would be. */
export function whySleepless(
  { settings }: Pick<Cluster, "settings">,
  { kept }: Pick<Found, "kept">,
): string | undefined {
  if (!settings.workspace.isEphemeral || kept.isCheckedOut !== true) return undefined;
  return "environments on this cluster cannot sleep, since their files would be lost; remove it instead";
}
