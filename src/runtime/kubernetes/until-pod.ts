/**
 * Waits until the pod of the target runs, tells what it waits for, and gives up on what does not come by itself.
 *
 * Called by `starting.ts`.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import type { Plan } from "../../policy/kubernetes/facts.ts";
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import type { Report } from "../runtime.ts";
import { type Cluster, execIn, findPod, isEnding, untilPods } from "./cluster.ts";
import { runInside } from "./inside/run-inside.ts";
import { judgePod, type PodState, type RunningPod } from "./judge-pod.ts";
import { ENDED_MS } from "./sleeping.ts";
import { whyNoPod } from "./why-no-pod.ts";

/** How long images may take to be pulled, and nodes to be found (guess). */
const POD_MS = 10 * 60_000;

/** A pod that failed gets so long to come right by itself: the kubelet may not have seen yet what was applied before it. */
const FAILED_MS = 3_000;

/** What the cluster refuses is tried again by it; for longer than pods take to end, which make room for others (guess). */
const REFUSED_MS = 30_000;

/** When to look why there is no pod at all, and to tell what one waits for. */
const PATIENCE_MS = 5_000;

/** Removes pods of a plan that have no workload and have ended, or are about to: nothing makes them run again. */
export async function clearEndedPods(
  cluster: Cluster,
  { plan: { workloads, target }, report }: Pick<PodWanted, "plan" | "report">,
  signal: AbortSignal,
): Promise<void> {
  const pods = workloads.filter(({ kind }) => kind === kinds.pod.kind);
  await Promise.all(
    pods.map(async (planned) => {
      const pod = findSame(cluster, planned);
      const type = pod === undefined ? "coming" : judgePod(pod, target.container).type;
      if (pod !== undefined && (type === "failed" || type === "ending"))
        await clearPod(cluster, { pod, report }, signal);
    }),
  );
}

async function clearPod(
  cluster: Cluster,
  { pod, report }: { readonly pod: KubernetesObject; readonly report: Report },
  signal: AbortSignal,
): Promise<void> {
  const { name, namespace = "", uid = "" } = pod.metadata;
  if (!isEnding(pod)) await cluster.api.remove({ of: kinds.pod, namespace, name }, { uid }, signal);
  const cancel = cluster.clock.after(PATIENCE_MS, () =>
    report("waiting: the pod it had before still ends", PATIENCE_MS),
  );
  const isGone = (): true | undefined => findSame(cluster, pod)?.metadata.uid !== uid || undefined;
  try {
    await untilPods(cluster, { isSo: isGone, mostMs: ENDED_MS }, signal);
  } catch (cause) {
    signal.throwIfAborted();
    throw new Fault("environment.stuck", `Cannot start in ${namespace}: the ended pod ${name} does not go`, {
      told: `the pod it had before does not end; its node may be away`,
      cause,
    });
  } finally {
    cancel();
  }
}

function findSame({ pods }: Cluster, { metadata }: KubernetesObject): KubernetesObject | undefined {
  return pods.find(metadata.namespace, metadata.name);
}

export interface PodWanted {
  readonly id: string;
  readonly plan: Plan;
  readonly report: Report;
}

/** Waits until the target's container runs. @throws {Fault} `environment.unstarted` with what keeps it from doing so */
export async function untilPod(cluster: Cluster, wanted: PodWanted, signal: AbortSignal): Promise<RunningPod> {
  const { clock } = cluster;
  const { id, plan, report } = wanted;
  const begun = clock.elapsed();
  const isDeleted = makeDeletionLook(cluster, plan);
  let told: string | undefined;
  let refusedAt: number | undefined;
  const knocked = new Set<string>();
  for (;;) {
    const state = findPod(cluster, id, plan.target);
    const waited = clock.elapsed() - begun;
    if (state.type === "running") return state.pod;
    const maybe = state.type === "coming" ? state.maybe : undefined;
    if (maybe !== undefined && !knocked.has(maybe.uid)) {
      knocked.add(maybe.uid);
      if (await answers(cluster, maybe, signal)) return maybe;
      continue;
    }
    if (state.type === "failed" && waited >= FAILED_MS) throw unstarted(id, state.told);
    if (isDeleted()) throw unstarted(id, "its pod was deleted while it started");
    const refusal =
      waited < PATIENCE_MS
        ? undefined
        : (refusalOf(state) ?? (await whyNoPod(cluster, { id, plan, waitedMs: waited }, signal)));
    refusedAt = refusal === undefined ? undefined : (refusedAt ?? waited);
    if (refusal !== undefined && waited - (refusedAt ?? waited) >= REFUSED_MS) throw unstarted(id, refusal);
    const trouble = refusal ?? troubleOf(state);
    if (waited >= POD_MS) throw unstarted(id, trouble ?? "its pod took too long to start");
    if (waited >= PATIENCE_MS && trouble !== undefined && trouble !== told) {
      told = trouble;
      report(`waiting: ${trouble}`, waited);
    }
    await untilOther(cluster, wanted, state, signal);
  }
}

/** Until something changes, or it is time to look again. */
async function untilOther(
  cluster: Cluster,
  { id, plan }: PodWanted,
  state: PodState,
  signal: AbortSignal,
): Promise<void> {
  const mostMs = state.type === "failed" ? FAILED_MS : PATIENCE_MS;
  const before = JSON.stringify(state);
  const isOther = (): true | undefined => JSON.stringify(findPod(cluster, id, plan.target)) !== before || undefined;
  await untilPods(cluster, { isSo: isOther, mostMs }, signal).catch(() => signal.throwIfAborted());
}

/** Looks whether a target without a workload was seen and is no more: nobody makes another. */
function makeDeletionLook(cluster: Cluster, { workloads, target }: Plan): () => boolean {
  const planned = workloads.find(
    ({ kind, metadata }) =>
      kind === kinds.pod.kind &&
      Object.entries(target.labels).every(([key, value]) => metadata.labels?.[key] === value),
  );
  let isSeen = false;
  return () => {
    const pod = planned === undefined ? undefined : findSame(cluster, planned);
    const isThere = pod !== undefined && !isEnding(pod);
    isSeen ||= isThere;
    return isSeen && !isThere;
  };
}

/** How often a container that should be about to start is asked, and after what pause: as long as nodes take that have its images. */
const [KNOCKS, KNOCK_MS] = [12, 150];

/** Says whether a container can be entered that no kubelet has said to run yet: that comes up to a second late. */
async function answers(cluster: Cluster, pod: RunningPod, signal: AbortSignal): Promise<boolean> {
  for (let knock = 0; knock < KNOCKS; knock++) {
    try {
      await runInside(execIn(cluster, pod, signal), { text: ":", output: "out", maxBytes: 0 }, signal);
      return true;
    } catch {
      signal.throwIfAborted();
      await cluster.clock.sleep(KNOCK_MS, signal);
    }
  }
  return false;
}

function refusalOf(state: PodState): string | undefined {
  return state.type === "coming" && state.isRefused === true ? state.trouble : undefined;
}

function troubleOf(state: PodState): string | undefined {
  if (state.type === "failed") return state.told;
  return state.type === "coming" ? state.trouble : undefined;
}

function unstarted(id: string, told: string): Fault {
  return new Fault("environment.unstarted", `Cannot start ${id}: ${told}`, {
    told: `this environment does not start: ${told}`,
  });
}
