/**
 * Makes one member, and takes one away.
 *
 * A member is recorded before anything of it exists, and its record goes after everything of it is gone.
 *
 * Called by `keeping.ts`.
 *
 * @module
 */
import { Fault, toldOf } from "../../base/fault.ts";
import { idleCost } from "../../policy/pool-cost.ts";
import type { PoolMember } from "../../store/pools.ts";
import type { PoolSettings } from "../../wire/cluster-settings.ts";
import { runStep } from "../lifecycle.ts";
import type { MemberSpec, PoolsOptions } from "./ports.ts";

/** A member that takes longer to make counts as failed, lest it keeps others from being made (guess). */
const MAKE_MS = 30 * 60_000;

export interface Making {
  readonly id: string;
  readonly cluster: string;
  readonly pool: PoolSettings;
  readonly spec: MemberSpec;
}

/** How a making ended. `away`: the cluster does not answer, which says nothing about the pool. */
export type Made =
  | { readonly type: "ready"; readonly tookMs: number }
  /** Nobody wants it any more. */
  | { readonly type: "unwanted" }
  | { readonly type: "away" | "failed"; readonly reason: string };

/** Makes a recorded member and records how it came out. @throws when `signal` aborts, or the store fails */
export async function makeMember(options: PoolsOptions, making: Making, signal: AbortSignal): Promise<Made> {
  const { store, clock, log } = options;
  const { id, cluster, pool, spec } = making;
  const { version } = spec;
  const begunAt = clock.elapsed();
  try {
    await bringUp(options, making, signal);
  } catch (error) {
    signal.throwIfAborted();
    const reason = toldOf(error);
    const isAway = error instanceof Fault && error.code === "cluster.unreached";
    log.warn("pool.member-failed", { pool: pool.name, member: id, cluster, err: error });
    if (!isAway) await store.pools.addFailure(pool.name, version, reason);
    await store.pools.move(id, "filling", isAway ? "leaving" : "failed", reason);
    return { type: isAway ? "away" : "failed", reason };
  }
  signal.throwIfAborted();
  if (!(await store.pools.move(id, "filling", "ready"))) return { type: "unwanted" };
  await store.pools.clearFailures(pool.name);
  const tookMs = clock.elapsed() - begunAt;
  log.info("pool.member-ready", { pool: pool.name, member: id, cluster, tookMs: Math.round(tookMs) });
  return { type: "ready", tookMs };
}

async function bringUp(options: PoolsOptions, { id, cluster, spec }: Making, signal: AbortSignal): Promise<void> {
  const { runtime, clock } = options;
  const { spec: environment, start, bake, env } = spec.make(id, cluster);
  const late = new AbortController();
  const cancel = clock.after(MAKE_MS, () => {
    const told = `it was not ready after ${MAKE_MS / 60_000} minutes`;
    late.abort(new Fault("environment.unstarted", `Cannot make member "${id}": ${told}`, { told }));
  });
  const until = AbortSignal.any([signal, late.signal]);
  const report = (): void => undefined;
  try {
    await runtime.create(environment, report, until);
    await runtime.start(environment, start, report, until);
    for (const step of bake) {
      const failure = await runStep(step, { id, env, runtime, clock, report }, until);
      if (failure === undefined) continue;
      throw new Fault("environment.failed", `Cannot make member "${id}": ${failure}`, { told: failure });
    }
    await options.verify(id, until);
  } catch (error) {
    // Whatever it threw when it was told to end, it was for being late.
    throw late.signal.aborted && !signal.aborted ? late.signal.reason : error;
  } finally {
    cancel();
  }
}

/** Takes away a member that is `leaving`, everything of it and then its record. */
export async function takeAway(
  { store, runtime, log, clock }: PoolsOptions,
  { id, pool, cluster, reason, createdAt }: PoolMember,
  spec: MemberSpec | undefined,
): Promise<void> {
  await runtime.destroy(id);
  await countIdle({ store }, { pool, waitedMs: clock.now() - createdAt }, spec);
  await store.pools.remove(id);
  log.info("pool.member-gone", { pool, member: id, cluster, reason });
}

/** What an amount of `IDLE` counts. */
export const IDLE = "idle-microusd";

/** Adds what it cost that a member waited. */
export async function countIdle(
  { store }: Pick<PoolsOptions, "store">,
  { pool, waitedMs }: { readonly pool: string; readonly waitedMs: number },
  spec: MemberSpec | undefined,
): Promise<void> {
  const amount = spec === undefined ? 0 : Math.round(idleCost(spec.requests, Math.max(0, waitedMs)) * 1e6);
  if (amount > 0) await store.pools.count(pool, IDLE, amount);
}
