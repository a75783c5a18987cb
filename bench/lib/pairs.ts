/**
 * Measures the two servers in turns, so that whatever else the machine does meets both alike.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";

/** The two that are compared. */
export interface Pair<Of> {
  readonly ours: Of;
  readonly plain: Of;
}

export interface PairOptions {
  readonly count: number;
  /** Between two measurements, in milliseconds: what the one before left behind is over. @default 0 */
  readonly pauseMs?: number;
  /** No further pair begins after this long, in milliseconds: a slow machine measures fewer. @default unlimited */
  readonly budgetMs?: number;
}

/** Calls `measure` up to `count` times for each of the two; who goes first changes each time. */
export async function measurePairs<Of, Sample>(
  both: Pair<Of>,
  { count, pauseMs = 0, budgetMs = Infinity }: PairOptions,
  measure: (one: Of) => Promise<Sample>,
): Promise<{ ours: Sample[]; plain: Sample[] }> {
  const samples: { ours: Sample[]; plain: Sample[] } = { ours: [], plain: [] };
  const deadline = performance.now() + budgetMs;
  for (let pair = 0; pair < count && (pair === 0 || performance.now() < deadline); pair++) {
    const order = pair % 2 === 0 ? (["ours", "plain"] as const) : (["plain", "ours"] as const);
    for (const which of order) {
      samples[which].push(await measure(both[which]));
      await sleep(pauseMs);
    }
  }
  return samples;
}

/** The same for more than two, each of which is an act; whose turn it is first changes each time. */
export async function measureInTurns<Sample>(
  acts: readonly (() => Promise<Sample>)[],
  count: number,
  signal: AbortSignal,
): Promise<Sample[][]> {
  const samples: Sample[][] = acts.map(() => []);
  for (let round = 0; round < count; round++) {
    for (let turn = 0; turn < acts.length; turn++) {
      signal.throwIfAborted();
      const which = (round + turn) % acts.length;
      const sample = await acts[which]?.();
      if (sample !== undefined) samples[which]?.push(sample);
    }
  }
  return samples;
}
