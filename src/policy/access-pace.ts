/**
 * How fast to ask a forge for what nobody waits for. Pure.
 *
 * Called by `forge/access/refresh.ts`. Answers that cost nothing (304 to a conditional request at GitHub) leave the
 * budget as it is and so are asked for at full pace; those that cost are spread over the time until the budget is full
 * again, and never take what is kept for logins and live sessions.
 *
 * @module
 */

export interface PacedBudget {
  readonly limit: number;
  readonly remaining: number;
  /** Epoch ms. */
  readonly resetAt: number;
}

/** Share of the budget that the background leaves to logins and live sessions, to the end of each period. A guess. */
const KEPT_RATIO = 0.3;

/** Share of the budget that may be spent ahead of time, so that a few changes at the start do not stop everything. */
const AHEAD_RATIO = 0.02;

/** GitHub's period; others that tell a budget have shorter ones, which are only spread less evenly then. */
const PERIOD_MS = 3_600_000;

/** Says how long to wait before the next request in the background, in milliseconds; 0: not at all. */
export function backgroundWaitMs(budget: PacedBudget | undefined, now: number): number {
  if (budget === undefined || budget.resetAt <= now) return 0;
  const { limit, remaining, resetAt } = budget;
  const spendable = limit * (1 - KEPT_RATIO);
  const leftMs = Math.min(PERIOD_MS, resetAt - now);
  // What should be left by now, if it is spent evenly from the beginning of the period to its end.
  const floor = limit * (KEPT_RATIO - AHEAD_RATIO) + spendable * (leftMs / PERIOD_MS);
  if (remaining <= limit * KEPT_RATIO) return resetAt - now;
  if (remaining >= floor) return 0;
  const waitMs = ((floor - remaining) / spendable) * PERIOD_MS;
  return Math.min(resetAt - now, Math.ceil(waitMs));
}

/** Shares of the budget that listing all repositories may take, and what it takes at least and at most. Guesses. */
const LISTING_RATIO = 0.1;
const LISTING_MIN_MS = 300_000;
const LISTING_MAX_MS = 3_600_000;
const PAGE_COUNT = 100;

/** Says how long after the last listing of all repositories the next is due, in milliseconds. */
export function listingIntervalMs(repositoryCount: number, budget: PacedBudget | undefined): number {
  if (budget === undefined) return LISTING_MIN_MS;
  const pageCount = Math.max(1, Math.ceil(repositoryCount / PAGE_COUNT));
  const intervalMs = (PERIOD_MS * pageCount) / (budget.limit * LISTING_RATIO);
  return Math.min(LISTING_MAX_MS, Math.max(LISTING_MIN_MS, intervalMs));
}
