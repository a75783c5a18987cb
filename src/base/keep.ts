/**
 * The one way to do something again and again: reconcilers, sweeps, probes and renewals are each a step for `keep()`.
 *
 * It knows nothing of what a step does. A thing that is done once, with a few tries, is no loop and does not belong here.
 *
 * @module
 */
import type { Clock } from "./clock.ts";

export interface KeepOptions {
  readonly clock: Clock;
  /** Wait after a first failure; each further one in a row doubles it. @default 500 (guess) */
  readonly firstWaitMs?: number;
  /** No wait after a failure is longer. @default 60_000 (guess: a person looks again after a minute) */
  readonly longestWaitMs?: number;
  /** Told of each failure and how many there were in a row. Must not throw: what it throws ends the loop. */
  readonly onFailure: (error: unknown, failureCount: number) => void;
}

/**
 * Takes one step after another until `signal` aborts, then returns.
 *
 * A step looks at the world, moves it a little, and returns how many milliseconds to wait before the next. One that
 * throws is reported and tried again after a growing wait; that never ends the loop. Steps never overlap, and none
 * begins after the abort; one under way is handed the signal and waited for. What a step throws once the signal has
 * aborted is taken for its way of stopping and not reported.
 *
 * @param step returns the wait in milliseconds; 0 steps again at once
 */
export async function keep(
  step: (signal: AbortSignal) => Promise<number>,
  options: KeepOptions,
  signal: AbortSignal,
): Promise<void> {
  const { clock, firstWaitMs = 500, longestWaitMs = 60_000, onFailure } = options;
  let failureCount = 0;
  while (!signal.aborted) {
    let waitMs: number;
    try {
      waitMs = await step(signal);
      failureCount = 0;
    } catch (error) {
      // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- it changes while the step runs
      if (signal.aborted) return;
      failureCount += 1;
      onFailure(error, failureCount);
      waitMs = Math.min(firstWaitMs * 2 ** (failureCount - 1), longestWaitMs);
    }
    await untilTime(waitMs, clock, signal);
  }
}

/** Waits, or returns early on abort: to the loop both are a reason to look at the signal. */
async function untilTime(waitMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(waitMs, signal);
  } catch (error) {
    if (!signal.aborted) throw error; // a clock that fails by itself is a bug of ours
  }
}
