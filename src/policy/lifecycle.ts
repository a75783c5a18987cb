/**
 * The public phase of an environment, from facts: pending → ready → active ⇄ idle → expiring → destroyed. Derived each
 * time, never stored. Power, operations and conditions stand beside it and are no phases.
 *
 * Called by `controller/`. Environments do not expire by time yet: only being unwanted ends one.
 *
 * @module
 */
import type { Tier } from "../wire/definition.ts";

export type Phase = "pending" | "ready" | "active" | "idle" | "expiring" | "destroyed";

/** What a phase follows from. Times are epoch ms, `undefined` for what has not happened. */
export interface LifecycleFacts {
  readonly desired: "present" | "absent";
  /** Outside objects that exist or may exist. */
  readonly inventoryCount: number;
  /** When its files and processes were first there. */
  readonly provisionedAt: number | undefined;
  /** Start of its first session. */
  readonly firstUseAt: number | undefined;
  /** Last sign that somebody works in it: keystrokes, saved files, commits. An open connection alone is none. */
  readonly lastActivityAt: number | undefined;
}

const HOUR_MS = 3_600_000;

/** Time to live by tier, in milliseconds: mission G2. */
const TTL_MS: Readonly<Record<Tier, number>> = {
  lightweight: 4 * HOUR_MS,
  full: 24 * HOUR_MS,
  compliance: 48 * HOUR_MS,
};

/** Says after how many milliseconds without activity an environment is idle: half its life, at most 12 hours. */
export function idleAfterMs(tier: Tier): number {
  return Math.min(12 * HOUR_MS, TTL_MS[tier] / 2);
}

/** Says the phase of an environment at a time. */
export function phaseOf(facts: LifecycleFacts, tier: Tier, now: number): Phase {
  if (facts.desired === "absent") return facts.inventoryCount === 0 ? "destroyed" : "expiring";
  if (facts.provisionedAt === undefined) return "pending";
  const lastSign = Math.max(facts.provisionedAt, facts.firstUseAt ?? 0, facts.lastActivityAt ?? 0);
  if (now - lastSign >= idleAfterMs(tier)) return "idle";
  return facts.firstUseAt === undefined ? "ready" : "active";
}
