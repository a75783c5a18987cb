/**
 * Tests that do the same thing many times over: at a desk a few rounds of them stand for all, so that `npm test` stays
 * short. CI runs every one.
 *
 * @module
 */
import type { TestContext } from "vitest";

/** Whether every round is run, as CI does. */
export const isEveryRound = process.env["SLIPWAY_TEST_ROUNDS"] === "all";

/** Runs one round in so many, the first among them, and skips the others unless every round is asked for. */
export function oneIn(count: number, round: number, ctx: TestContext): void {
  if (round % count !== 0) skipUnlessEveryRound(ctx);
}

/** Skips what takes many seconds and of which something like it is run anyway, unless every round is asked for. */
export function skipUnlessEveryRound(ctx: TestContext): void {
  if (!isEveryRound)
    ctx.skip("one round of many, of which a few were run. To run all, as CI does: SLIPWAY_TEST_ROUNDS=all npm test");
}
