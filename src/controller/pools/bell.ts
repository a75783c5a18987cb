/**
 * A clock whose sleeper can be woken: for a loop that looks again in a while, or at once when something happened.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";

export interface Bell {
  /** Ends the sleep, or the next one when nobody sleeps now. */
  ring(): void;
  /** The same time; its `sleep` is ended by the bell, and is for one sleeper. */
  readonly clock: Clock;
}

export function makeBell(clock: Clock): Bell {
  let hasRung = false;
  let wake = (): void => undefined;
  return {
    ring: () => {
      hasRung = true;
      wake();
    },
    clock: {
      now: () => clock.now(),
      elapsed: () => clock.elapsed(),
      after: (ms, then) => clock.after(ms, then),
      sleep: async (ms, signal) => {
        const rung = new AbortController();
        wake = () => rung.abort();
        if (hasRung) rung.abort();
        try {
          await clock.sleep(ms, signal === undefined ? rung.signal : AbortSignal.any([signal, rung.signal]));
        } catch (error) {
          if (!rung.signal.aborted || signal?.aborted === true) throw error;
        } finally {
          hasRung = false;
          wake = () => undefined;
        }
      },
    },
  };
}
