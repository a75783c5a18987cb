/**
 * Which way sessions take into pods: through the API server (`exec`), or straight to the address of the pod (`podIP`).
 *
 * Pure: time comes as a parameter, in milliseconds of a clock that never jumps. Called by `runtime/kubernetes/paths.ts`, which
 * keeps what is known of one cluster.
 *
 * @module
 */

export type Path = "exec" | "podIP";

/** What is known of the paths of one cluster. */
export type PathState =
  | { readonly phase: "measuring"; readonly tookMs: Readonly<Record<Path, readonly number[]>> }
  /** Until then the path is that one, whatever it takes. */
  | { readonly phase: "settled"; readonly path: Path; readonly untilMs: number; readonly because: PathReason };

export type PathReason =
  /** With the medians. */
  | { readonly type: "measured"; readonly tookMs: Readonly<Record<Path, number>> }
  /** The addresses of two pods could not be used. */
  | { readonly type: "failed" };

/** Connections of each path that are compared by their medians. Guess: one may meet a busy node. */
const SAMPLE_COUNT = 5;

/**
 * How much longer than by exec it may take to be let in by the address. What comes after makes up for it: a keystroke takes a
 * fifth of its time by exec, and bulk goes twice as fast (`bench/rows/cluster-path.ts`, 2026-11-28). The share is a guess.
 */
const ENTRY_RATIO_MAX = 1.25;

/** How long a choice holds, and the failure of a pod is remembered. Guess: clusters change, but not by the minute. */
export const HOLD_MS = 10 * 60_000;

/** Nothing is known yet. */
export const UNKNOWN_PATHS: PathState = { phase: "measuring", tookMs: { exec: [], podIP: [] } };

/** Says which way the next connection goes. @param setting of the cluster, in which we run */
export function choosePath(state: PathState, setting: "auto" | Path, nowMs: number): Path {
  if (setting === "exec") return "exec";
  const current = atTime(state, nowMs);
  if (current.phase === "settled") return current.path;
  if (setting === "podIP") return "podIP";
  const { exec, podIP } = current.tookMs;
  return podIP.length < exec.length ? "podIP" : "exec";
}

/** Takes in how long it took on a path from the first line to the door until the sshd inside had let us in. */
export function afterEntry(
  state: PathState,
  took: { readonly path: Path; readonly ms: number },
  nowMs: number,
): PathState {
  const current = atTime(state, nowMs);
  if (current.phase === "settled") return current;
  const { exec, podIP } = current.tookMs;
  const tookMs = { exec, podIP, [took.path]: [...current.tookMs[took.path], took.ms] };
  if (tookMs.exec.length < SAMPLE_COUNT || tookMs.podIP.length < SAMPLE_COUNT) return { phase: "measuring", tookMs };
  const medians = { exec: median(tookMs.exec), podIP: median(tookMs.podIP) };
  const path = medians.podIP <= medians.exec * ENTRY_RATIO_MAX ? "podIP" : "exec";
  return { phase: "settled", path, untilMs: nowMs + HOLD_MS, because: { type: "measured", tookMs: medians } };
}

/** Takes in that the addresses of pods cannot be used, whichever pod it is. */
export function afterFailure(nowMs: number): PathState {
  return { phase: "settled", path: "exec", untilMs: nowMs + HOLD_MS, because: { type: "failed" } };
}

function atTime(state: PathState, nowMs: number): PathState {
  return state.phase === "settled" && nowMs >= state.untilMs ? UNKNOWN_PATHS : state;
}

function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
