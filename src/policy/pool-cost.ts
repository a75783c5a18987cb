/**
 * What members cost that wait for somebody.
 *
 * Rates are OpenCost's defaults (configs/default.json there), prices of Google's us-central1: a figure to compare pools
 * by, not a bill. What waits is counted by what it asks the scheduler for, since that is kept from others, used or not.
 *
 * @module
 */

/** What the pods of one member ask for. */
export interface Requests {
  /** In processors: 0.5 is half of one. */
  readonly cpuCount: number;
  readonly memoryBytes: number;
}

/** USD for one processor and hour. */
const CPU_HOUR_USD = 0.031611;
/** USD for a GiB of memory and hour. */
const GIB_HOUR_USD = 0.004237;

const HOUR_MS = 3_600_000;

/** Says in USD what it costs that so much waits for so long. */
export function idleCost({ cpuCount, memoryBytes }: Requests, waitedMs: number): number {
  return (cpuCount * CPU_HOUR_USD + (memoryBytes / 2 ** 30) * GIB_HOUR_USD) * (waitedMs / HOUR_MS);
}
