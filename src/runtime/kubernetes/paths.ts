/**
 * What is known of the ways into the pods of one cluster, and the one that is taken: the decision is `policy/kubernetes/path.ts`.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import {
  afterEntry,
  afterFailure,
  choosePath,
  HOLD_MS,
  type Path,
  type PathState,
  UNKNOWN_PATHS,
} from "../../policy/kubernetes/path.ts";

export interface Paths {
  /** Says which way the next connection goes. @param pod uid of the one that it leads to */
  next(pod?: string): Path;
  /** Tells how long it took to be let in. */
  entered(path: Path, ms: number): void;
  /**
   * Tells that the address of a pod could not be used: for a while everybody goes into that one by exec, and into all when
   * another was the last that failed and nobody has been let in by an address since.
   */
  failed(pod: string, error: unknown): void;
}

export interface PathsOptions {
  /** Of the cluster's settings. */
  readonly setting: "auto" | Path;
  /** Whether we run in the cluster: from elsewhere nobody is let in to pods. */
  readonly isInside: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** Makes the memory of one cluster. */
export function makePaths({ setting, isInside, clock, log }: PathsOptions): Paths {
  let state: PathState = UNKNOWN_PATHS;
  const isOpen = isInside && setting !== "exec";
  /** Uid of each pod that failed, with when: in the order of that. */
  const failedAt = new Map<string, number>();
  let lastFailed: string | undefined;
  const forget = (): void => {
    for (const [pod, atMs] of failedAt) {
      if (clock.elapsed() < atMs + HOLD_MS) break;
      failedAt.delete(pod);
    }
  };
  const become = (next: PathState): void => {
    if (next.phase === "settled" && next !== state) {
      log.info("kubernetes.path-chosen", { path: next.path, because: next.because });
    }
    state = next;
  };
  return {
    next: (pod) => {
      forget();
      if (!isOpen || (pod !== undefined && failedAt.has(pod))) return "exec";
      return choosePath(state, setting, clock.elapsed());
    },
    entered: (path, ms) => {
      if (path === "podIP") lastFailed = undefined;
      if (isOpen && setting === "auto") become(afterEntry(state, { path, ms }, clock.elapsed()));
    },
    failed: (pod, error) => {
      log.warn("kubernetes.path-failed", { pod, err: error });
      failedAt.delete(pod); // to be the last in order
      failedAt.set(pod, clock.elapsed());
      // One may be broken by itself; two in a row are the network of the cluster.
      if (lastFailed !== undefined && lastFailed !== pod) become(afterFailure(clock.elapsed()));
      lastFailed = pod;
    },
  };
}
