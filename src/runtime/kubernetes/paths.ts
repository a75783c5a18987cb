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
  type Path,
  type PathState,
  UNKNOWN_PATHS,
} from "../../policy/kubernetes/path.ts";

export interface Paths {
  /** Says which way the next connection goes. */
  next(): Path;
  /** Tells how long it took to be let in. */
  entered(path: Path, ms: number): void;
  /** Tells that the address of a pod could not be used: from now on everybody goes by exec. */
  failed(error: unknown): void;
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
  const become = (next: PathState): void => {
    if (next.phase === "settled" && next !== state) {
      log.info("kubernetes.path-chosen", { path: next.path, because: next.because });
    }
    state = next;
  };
  return {
    next: () => (isOpen ? choosePath(state, setting, clock.elapsed()) : "exec"),
    entered: (path, ms) => {
      if (isOpen && setting === "auto") become(afterEntry(state, { path, ms }, clock.elapsed()));
    },
    failed: (error) => {
      log.warn("kubernetes.path-failed", { err: error });
      become(afterFailure(clock.elapsed()));
    },
  };
}
