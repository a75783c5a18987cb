/**
 * Time as a value. The one real clock is made in `src/cmd`; tests move a `HandClock` (test/fakes) by hand.
 *
 * @module
 */
import { setTimeout as wait } from "node:timers/promises";

/** Tells the time and waits. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds on a clock that never jumps, for durations. */
  elapsed(): number;
  /** Resolves after `ms` milliseconds; rejects with an AbortError if `signal` aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `then` once after `ms` milliseconds unless the returned function is called first. Keeps no process alive. */
  after(ms: number, then: () => void): () => void;
}

/** Makes the clock of this machine. */
export function makeClock(): Clock {
  return {
    now: () => Date.now(),
    elapsed: () => performance.now(),
    sleep: async (ms, signal) => {
      await wait(ms, undefined, signal === undefined ? {} : { signal });
    },
    after: (ms, then) => {
      const timer = setTimeout(then, ms);
      timer.unref();
      return () => {
        clearTimeout(timer);
      };
    },
  };
}
