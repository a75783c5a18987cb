/**
 * Keeps a stream open by which what runs in an environment calls us: `Runtime.listen`. Nothing inside can reach us by itself,
 * so we go there: the toolbox's `calls` in the pod takes the calls, and says them over its exec.
 *
 * A stream that is lost is opened again after a growing wait, while the pod is ready; where there is none, the watches tell
 * when there is. It costs the API server one stream for each environment that has somebody to call.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { keep } from "../../base/keep.ts";
import { untilFirst } from "../../base/until-first.ts";
import { type Cluster, execIn, findEnvironment, findReadyPod, isEnding } from "./cluster.ts";
import { StrangeCall, takeCallsInside } from "./inside/calls.ts";
import type { RunningPod } from "./judge-pod.ts";

/** Waits before a stream is opened again. Guesses: a push that comes just then waits for the first. */
const [FIRST_WAIT_MS, LONGEST_WAIT_MS] = [1_000, 30_000];

/** A stream that lasted so long was no failure: servers end idle ones after hours. */
const LASTED_MS = 60_000;

export interface Listening {
  /** Takes the calls of an environment, in the stead of whoever took them before. Waits for nothing inside. */
  listen(id: string, onCall: (stream: Duplex) => void): { close(): Promise<void> };
  /** Takes no more, and hangs up on who calls. */
  close(id: string): Promise<void>;
}

/** Makes the taker of the calls of one cluster. @param closing ends all of it */
export function makeListening(cluster: Cluster, closing: AbortSignal): Listening {
  const all = new Map<string, { readonly stop: AbortController; readonly kept: Promise<void> }>();
  const close = async (id: string, only = all.get(id)): Promise<void> => {
    if (only === undefined) return;
    if (all.get(id) === only) all.delete(id);
    only.stop.abort();
    await only.kept;
  };
  return {
    listen: (id, onCall) => {
      void close(id);
      const stop = new AbortController();
      const signal = AbortSignal.any([stop.signal, closing]);
      const listening = { stop, kept: keepTaking(cluster, { id, onCall }, signal) };
      all.set(id, listening);
      return { close: () => close(id, listening) };
    },
    close: (id) => close(id),
  };
}

interface Called {
  readonly id: string;
  readonly onCall: (stream: Duplex) => void;
}

/** Never rejects. */
async function keepTaking(cluster: Cluster, called: Called, signal: AbortSignal): Promise<void> {
  const { clock, log } = cluster;
  const onFailure = (error: unknown, failureCount: number): void => {
    const facts = { environment: called.id, failureCount, err: error };
    if (error instanceof StrangeCall) log.warn("kubernetes.calls-strange", facts);
    else log.debug("kubernetes.calls-lost", facts);
  };
  const waits = { firstWaitMs: FIRST_WAIT_MS, longestWaitMs: LONGEST_WAIT_MS };
  await keep(async (during) => takeOnce(cluster, called, during), { clock, onFailure, ...waits }, signal);
}

/** Takes calls in the pod that is ready, or will be, until its stream ends. */
async function takeOnce(cluster: Cluster, { id, onCall }: Called, signal: AbortSignal): Promise<number> {
  const { clock, log } = cluster;
  const pod = await untilReady(cluster, id, signal);
  const begunAt = clock.elapsed();
  try {
    const end = await untilFirst({
      lost: async (over) => {
        const during = AbortSignal.any([over, signal]);
        await takeCallsInside(execIn(cluster, pod, during), { onCall, clock }, during);
      },
      replaced: async (over) => untilGone(cluster, pod, AbortSignal.any([over, signal])),
    });
    log.debug("kubernetes.calls-over", { environment: id, end });
    return 0;
  } catch (error) {
    if (signal.aborted || error instanceof StrangeCall || clock.elapsed() - begunAt < LASTED_MS) throw error;
    log.debug("kubernetes.calls-lost", { environment: id, err: error });
    return FIRST_WAIT_MS;
  }
}

/** Both have to say it: the namespace, which pod is ready, and the pod, that it runs. */
async function untilReady(cluster: Cluster, id: string, signal: AbortSignal): Promise<RunningPod> {
  const look = (): RunningPod | undefined => {
    const found = findEnvironment(cluster, id);
    return found === undefined || isEnding(found.namespace) ? undefined : findReadyPod(cluster, found);
  };
  const there = look();
  if (there !== undefined) return there;
  const seen = new AbortController();
  const either = AbortSignal.any([seen.signal, signal]);
  try {
    return await Promise.race([cluster.namespaces.until(look, either), cluster.pods.until(look, either)]);
  } finally {
    seen.abort();
  }
}

/** The stream would go on for as long as the pod's grace, or until nothing is heard of a node any more. */
async function untilGone({ pods }: Cluster, { namespace, name, uid }: RunningPod, signal: AbortSignal): Promise<void> {
  const isGone = (): true | undefined => {
    const pod = pods.find(namespace, name);
    return pod?.metadata.uid !== uid || isEnding(pod) || undefined;
  };
  await pods.until(isGone, signal);
}
