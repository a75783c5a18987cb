/**
 * Measures the two servers in turns, so that whatever else the machine does meets both alike.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Bench, Server } from "./row.ts";

export interface PairOptions {
  readonly count: number;
  /** Between two measurements, in milliseconds: what the one before left behind is over. @default 0 */
  readonly pauseMs?: number;
  /** No further pair begins after this long, in milliseconds: a slow machine measures fewer. @default unlimited */
  readonly budgetMs?: number;
}

/** Calls `measure` up to `count` times for each server; who goes first changes each time. */
export async function measurePairs<Sample>(
  bench: Bench,
  { count, pauseMs = 0, budgetMs = Infinity }: PairOptions,
  measure: (server: Server) => Promise<Sample>,
): Promise<{ ours: Sample[]; plain: Sample[] }> {
  const samples: { ours: Sample[]; plain: Sample[] } = { ours: [], plain: [] };
  const deadline = performance.now() + budgetMs;
  for (let pair = 0; pair < count && (pair === 0 || performance.now() < deadline); pair++) {
    const order = pair % 2 === 0 ? (["ours", "plain"] as const) : (["plain", "ours"] as const);
    for (const which of order) {
      samples[which].push(await measure(bench[which]));
      await sleep(pauseMs);
    }
  }
  return samples;
}
