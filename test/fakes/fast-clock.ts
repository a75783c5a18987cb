/**
 * A real clock that runs faster, for tests of waits between real processes or servers.
 *
 * @module
 */
import { type Clock, makeClock } from "../../src/base/clock.ts";

/** Makes a clock on which `factor` milliseconds pass in one. */
export function fastClock(factor: number): Clock {
  const clock = makeClock();
  const startedAt = clock.now();
  return {
    now: () => startedAt + (clock.now() - startedAt) * factor,
    elapsed: () => clock.elapsed() * factor,
    sleep: (ms, signal) => clock.sleep(ms / factor, signal),
    after: (ms, then) => clock.after(ms / factor, then),
  };
}
