/**
 * Waiting that has an end.
 *
 * @module
 */
import type { Clock } from "./clock.ts";

/** Waits for the end of work, up to a limit; the work goes on. @returns whether it ended in time. Rejects as it does till then */
export async function endedWithin(clock: Clock, ms: number, work: Promise<unknown>): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  const cancel = clock.after(ms, () => late.resolve(false));
  try {
    return await Promise.race([work.then(() => true), late.promise]);
  } finally {
    cancel();
  }
}
