/**
 * Gives somebody a member that is alive, or says why there is none.
 *
 * Called by `pools.ts`.
 *
 * @module
 */
import { Fault, toldOf } from "../../base/fault.ts";
import { unlessAborted } from "../../base/unless-aborted.ts";
import { wantedSize } from "../../policy/pool.ts";
import { pausedUntil } from "../../policy/pool-plan.ts";
import { differencesOf } from "../../policy/pool-version.ts";
import type { PoolMember } from "../../store/pools.ts";
import type { PoolSettings } from "../../wire/cluster-settings.ts";
import { countIdle } from "./making.ts";
import type { Claimed, ClaimRequest, PoolsOptions } from "./ports.ts";
import { countClaim, medianTime, type PoolState } from "./state.ts";

/** A member that says nothing in this time is dead: making one anew takes as long (measured: 1.1 to 1.7 s). */
const VERIFY_MS = 2_000;

/** Dead members that one person waits for. */
const TRIES_MAX = 3;

/** What a count of misses begins with; the reason follows. */
export const MISS = "miss: ";
export const HIT = "hit";

/** Claims a member of a pool that the request fits. */
export async function claimMember(
  options: PoolsOptions,
  state: PoolState,
  request: ClaimRequest,
  signal: AbortSignal,
): Promise<Claimed> {
  const pools = options.settings.filter(({ repository }) => repository === request.repository);
  let cold: Cold | undefined;
  for (const pool of pools) {
    const tried = isElsewhere(pool, request) ?? (await tryPool(options, state, { pool, request }, signal));
    if (tried.type === "warm") return tried;
    cold ??= { ...tried, pool };
  }
  if (cold === undefined) return { type: "none" };
  countClaim(state, cold.pool, "misses");
  count(options, options.store.pools.count(cold.pool.name, `${MISS}${cold.kind}`, 1));
  return { type: "cold", because: cold.because };
}

/** `kind` is the same for all misses that are alike. */
interface Miss {
  readonly kind: string;
  readonly because: string;
}
type Cold = Miss & { readonly pool: PoolSettings };

/** Says so of a pool whose cluster cannot take what is wanted. */
function isElsewhere({ cluster }: PoolSettings, { on }: ClaimRequest): (Miss & { readonly type: "cold" }) | undefined {
  if (cluster === undefined || on === undefined || on.includes(cluster)) return undefined;
  return { type: "cold", ...alike(`its pool is on ${cluster}, where this environment cannot be`) };
}

interface Trial {
  readonly pool: PoolSettings;
  readonly request: ClaimRequest;
}

async function tryPool(
  options: PoolsOptions,
  state: PoolState,
  { pool, request: { version, on } }: Trial,
  signal: AbortSignal,
): Promise<Extract<Claimed, { type: "warm" }> | (Miss & { readonly type: "cold" })> {
  const { store, clock, log } = options;
  const wanted = { pool: pool.name, version, ...(on === undefined ? {} : { on }) };
  const notOn: string[] = [];
  let dead: string | undefined;
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const member = await store.pools.claim({ ...wanted, notOn });
    if (member === undefined) break;
    const { id } = member;
    state.handed.set(id, clock.elapsed());
    const health = await examine(options, member, signal).catch(async (error: unknown) => {
      // Whoever wanted it has left, and nothing of theirs is in it.
      await giveBack(options, state, id);
      throw error;
    });
    if (health.type === "alive") {
      countHit(options, state, { pool, member });
      state.bell.ring();
      return { type: "warm", id, cluster: member.cluster, pool: pool.name };
    }
    log.warn("pool.member-unfit", { pool: pool.name, member: id, cluster: member.cluster, why: health.why });
    dead = health.why;
    if (health.type !== "dead") notOn.push(member.cluster);
    if (health.type === "away") await giveBack(options, state, id);
    else await store.pools.move(id, "claimed", "failed", health.why);
    state.handed.delete(id);
  }
  state.bell.ring();
  if (dead !== undefined) return { type: "cold", kind: "member unfit", because: `pool member of no use: ${dead}` };
  return { type: "cold", ...(await whyNone(options, state, pool, version)) };
}

async function giveBack({ store }: PoolsOptions, { handed, bell }: PoolState, id: string): Promise<void> {
  await store.pools.move(id, "claimed", "ready");
  handed.delete(id);
  bell.ring(); // another may have been begun in its stead
}

/** `silent`: it said nothing in time, and then its cluster may be what is wrong. `away`: its cluster surely is. */
type Health = { readonly type: "alive" } | { readonly type: "dead" | "silent" | "away"; readonly why: string };

/** Talks to a member. @throws when `signal` aborts */
async function examine(options: PoolsOptions, { id }: PoolMember, signal: AbortSignal): Promise<Health> {
  const { runtime, clock } = options;
  const late = new AbortController();
  const cancel = clock.after(VERIFY_MS, () => late.abort());
  const until = AbortSignal.any([signal, late.signal]);
  try {
    const { power } = await unlessAborted(runtime.observe(id), until);
    if (power !== "running") return { type: "dead", why: `it is ${power}` };
    await unlessAborted(options.verify(id, until), until);
    return { type: "alive" };
  } catch (error) {
    signal.throwIfAborted();
    if (late.signal.aborted) return { type: "silent", why: `it did not answer in ${VERIFY_MS / 1_000} s` };
    const isAway = error instanceof Fault && error.code === "cluster.unreached";
    return { type: isAway ? "away" : "dead", why: toldOf(error) };
  } finally {
    cancel();
  }
}

function countHit(
  options: PoolsOptions,
  state: PoolState,
  { pool, member }: { readonly pool: PoolSettings; readonly member: PoolMember },
): void {
  countClaim(state, pool, "hits");
  count(options, options.store.pools.count(pool.name, HIT, 1));
  const waited = { pool: pool.name, waitedMs: options.clock.now() - member.createdAt };
  count(options, countIdle(options, waited, state.described.get(pool.name)?.spec));
}

/** Nobody waits for what is counted. */
function count({ log }: PoolsOptions, counting: Promise<void>): void {
  counting.catch((error: unknown) => {
    log.error("pool.uncounted", error);
  });
}

async function whyNone(options: PoolsOptions, state: PoolState, pool: PoolSettings, version: string): Promise<Miss> {
  const { store, clock } = options;
  const current = state.described.get(pool.name)?.spec?.version;
  if (current !== undefined && current !== version) {
    const names = differencesOf(current, version).join(", ");
    return alike(`definition differs from the pool's: ${names}`);
  }
  const failures = (await store.pools.failures()).find((failure) => failure.pool === pool.name);
  if (failures !== undefined && pausedUntil(failures, current, clock.now()) !== undefined) {
    return { kind: "pool paused", because: `pool paused: ${failures.reason}` };
  }
  if (wantedSize(pool, clock.now()) === 0) return alike("pool empty by its schedule");
  const trouble = state.described.get(pool.name)?.trouble ?? state.waiting.get(pool.name)?.because;
  const kind = "pool empty";
  if (trouble !== undefined) return { kind, because: `pool empty: ${trouble}` };
  const nextMs = nextReadyMs(state, pool.name, clock.elapsed());
  if (nextMs === undefined) return alike(kind);
  return { kind, because: `pool empty (next in ~${Math.max(1, Math.ceil(nextMs / 1_000))} s)` };
}

function alike(because: string): Miss {
  return { kind: because, because };
}

/** Guesses when the next member is ready, by how long the last ones took. */
function nextReadyMs(state: PoolState, pool: string, elapsed: number): number | undefined {
  const typicalMs = medianTime(state, pool);
  if (typicalMs === undefined) return undefined;
  const begun = [...state.making.values()].filter((making) => making.pool === pool).map(({ begunAt }) => begunAt);
  return typicalMs - (begun.length === 0 ? 0 : elapsed - Math.min(...begun));
}
