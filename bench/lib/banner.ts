/**
 * What a person reads while an environment comes up, read for the times in it.
 *
 * @module
 */
import { formatMs, median } from "./figures.ts";

/** As `controller/lines.ts` writes them. */
const STEP = /^slipway: (.+?) … ([0-9.]+) (ms|s)\r?$/gm;

/** Sums up the steps of many, each by its median, in their order. */
export function writeSteps(banners: readonly string[]): string {
  const times = new Map<string, number[]>();
  for (const banner of banners) {
    for (const [, step = "", time, unit] of banner.matchAll(STEP)) {
      // Branches have names of their own.
      const name = step.replace(/^(checking out) .*/, "$1");
      times.set(name, [...(times.get(name) ?? []), Number(time) * (unit === "s" ? 1e3 : 1)]);
    }
  }
  return [...times].map(([step, samples]) => `${step} ${formatMs(Math.round(median(samples)))}`).join(", ");
}
