/**
 * What this process holds in memory of its pools. Everything that has to outlive it is in the store.
 *
 * @module
 */
import type { PoolSettings } from "../../wire/cluster-settings.ts";
import { type Bell, makeBell } from "./bell.ts";
import type { MemberSpec, PoolsOptions } from "./ports.ts";

/** What was last read of what members are made from. */
export interface Described {
  /** The last that could be read. */
  readonly spec: MemberSpec | undefined;
  /** Why nothing could be read, the last time it was tried. */
  readonly trouble: string | undefined;
  /** On the clock that never jumps; `LONG_AGO` to have it read again. */
  readonly readAt: number;
}

export const LONG_AGO = Number.NEGATIVE_INFINITY;

export interface PoolState {
  readonly bell: Bell;
  /** By the name of the pool. */
  readonly described: Map<string, Described>;
  /** Members that are being made, by id. */
  readonly making: Map<
    string,
    { readonly pool: string; readonly stop: AbortController; readonly begunAt: number; done: Promise<void> }
  >;
  /** Members that are being taken away, by id. */
  readonly leaving: Map<string, Promise<void>>;
  /** When to try again what could not be taken away. */
  readonly leaveAgainAt: Map<string, number>;
  /** When members were handed to somebody who will write the record of an environment. */
  readonly handed: Map<string, number>;
  /** Why nothing can be made just now, and until when; by the name of the pool. */
  readonly waiting: Map<string, { readonly because: string; readonly until: number }>;
  /** Since when members that could be made are not, as somebody waits for an environment. */
  heldSince: number | undefined;
  /** How long the last members took, by the name of the pool. */
  readonly tookMs: Map<string, number[]>;
  /** Since this process began, by the name of the pool. */
  readonly claims: Map<string, { hits: number; misses: number }>;
}

export function makeState(options: PoolsOptions): PoolState {
  return {
    bell: makeBell(options.clock),
    described: new Map(),
    making: new Map(),
    leaving: new Map(),
    leaveAgainAt: new Map(),
    handed: new Map(),
    waiting: new Map(),
    heldSince: undefined,
    tookMs: new Map(),
    claims: new Map(),
  };
}

/** Members whose times are remembered. */
const TIMES_KEPT = 50;

export function noteTime({ tookMs }: PoolState, pool: string, took: number): void {
  tookMs.set(pool, [...(tookMs.get(pool) ?? []), took].slice(-TIMES_KEPT));
}

/** The time that half of the last members took at most; `undefined` before there was one. */
export function medianTime({ tookMs }: PoolState, pool: string): number | undefined {
  const times = (tookMs.get(pool) ?? []).toSorted((one, other) => one - other);
  return times[Math.floor((times.length - 1) / 2)];
}

export function countClaim({ claims }: PoolState, { name }: PoolSettings, what: "hits" | "misses"): void {
  const counts = claims.get(name) ?? { hits: 0, misses: 0 };
  claims.set(name, { ...counts, [what]: counts[what] + 1 });
}
