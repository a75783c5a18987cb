/**
 * Pools as people are told of them.
 *
 * Called by `pools.ts`.
 *
 * @module
 */
import { idleCost } from "../../policy/pool-cost.ts";
import { wantedSize } from "../../policy/pool.ts";
import { pausedUntil } from "../../policy/pool-plan.ts";
import { shortHash } from "../../policy/short-hash.ts";
import type { MemberState, PoolCount, PoolFailure, PoolMember } from "../../store/pools.ts";
import type { PoolSettings } from "../../wire/cluster-settings.ts";
import type { PoolExplanation, PoolRow } from "../../wire/lobby.ts";
import { HIT, MISS } from "./claiming.ts";
import { IDLE } from "./making.ts";
import type { PoolsOptions } from "./ports.ts";
import { medianTime, type PoolState } from "./state.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** What the store has of one pool. */
interface Recorded {
  readonly pool: PoolSettings;
  readonly members: readonly PoolMember[];
  readonly failures: PoolFailure | undefined;
  readonly counts: readonly PoolCount[];
}

/** Lists all pools. */
export async function listPools(options: PoolsOptions, state: PoolState): Promise<PoolRow[]> {
  return (await read(options)).map((recorded) => rowOf(options, state, recorded));
}

/** Tells of one pool. @returns `undefined` when there is none of that name */
export async function explainPool(
  options: PoolsOptions,
  state: PoolState,
  name: string,
): Promise<PoolExplanation | undefined> {
  const recorded = (await read(options)).find(({ pool }) => pool.name === name);
  return recorded === undefined ? undefined : explanationOf(options, state, recorded);
}

async function read({ settings, store }: PoolsOptions): Promise<Recorded[]> {
  const [members, failures, counts] = [
    await store.pools.list(),
    await store.pools.failures(),
    await store.pools.counts(),
  ];
  return settings.map((pool) => ({
    pool,
    members: members.filter((member) => member.pool === pool.name),
    failures: failures.find((failure) => failure.pool === pool.name),
    counts: counts.filter((count) => count.pool === pool.name),
  }));
}

function rowOf({ clock }: PoolsOptions, state: PoolState, { pool, members, failures, counts }: Recorded): PoolRow {
  const now = clock.now();
  const countOf = (wanted: MemberState): number => members.filter((member) => member.state === wanted).length;
  const { hitRatio } = lastDayOf(counts, now);
  const paused = pausedUntil(failures, state.described.get(pool.name)?.spec?.version, now);
  return {
    name: pool.name,
    repository: pool.repository,
    ...(pool.cluster === undefined ? {} : { cluster: pool.cluster }),
    wanted: wantedSize(pool, now),
    ready: countOf("ready"),
    filling: countOf("filling"),
    failed: countOf("failed"),
    ...(hitRatio === undefined ? {} : { hitRatio }),
    ...(paused === undefined ? {} : { pausedBecause: failures?.reason }),
  };
}

function explanationOf(options: PoolsOptions, state: PoolState, recorded: Recorded): PoolExplanation {
  const { pool, members, failures, counts } = recorded;
  const now = options.clock.now();
  const { spec, trouble } = state.described.get(pool.name) ?? {};
  const paused = pausedUntil(failures, spec?.version, now);
  const waiting = trouble ?? state.waiting.get(pool.name)?.because;
  const failed = members.findLast(({ state: of }) => of === "failed");
  const { hits, misses } = state.claims.get(pool.name) ?? { hits: 0, misses: 0 };
  const refillMs = medianTime(state, pool.name) ?? medianOf(members);
  return {
    ...rowOf(options, state, recorded),
    ...(spec === undefined ? {} : { version: shortHash(spec.version), madeFrom: spec.version }),
    ...(spec?.image === undefined ? {} : { image: spec.image }),
    ...(waiting === undefined ? {} : { waitingBecause: waiting }),
    ...(paused === undefined ? {} : { pausedUntil: new Date(paused).toISOString() }),
    ...(failed === undefined
      ? {}
      : { failedMember: { id: failed.id, cluster: failed.cluster, reason: failed.reason ?? "" } }),
    sinceStart: ratioOf(hits, misses),
    lastDay: lastDayOf(counts, now),
    missesBecause: missesOf(counts, now),
    ...(refillMs === undefined ? {} : { refillP50Ms: Math.round(refillMs) }),
    ...idleOf(recorded, spec?.requests, now),
    members: members.map(({ id, cluster, state: is, createdAt, reason }) => ({
      ...{ id, cluster, state: is, createdAt: new Date(createdAt).toISOString() },
      ...(reason === undefined ? {} : { reason }),
    })),
  };
}

function isOfLastDay({ hourAt }: PoolCount, now: number): boolean {
  return hourAt + HOUR_MS > now - DAY_MS;
}

function sumOf(counts: readonly PoolCount[], isMeant: (count: PoolCount) => boolean): number {
  return counts.filter(isMeant).reduce((sum, { amount }) => sum + amount, 0);
}

/** By whole hours, so of 24 to 25. */
function lastDayOf(counts: readonly PoolCount[], now: number): PoolExplanation["lastDay"] {
  const recent = counts.filter((count) => isOfLastDay(count, now));
  return ratioOf(
    sumOf(recent, ({ what }) => what === HIT),
    sumOf(recent, ({ what }) => what.startsWith(MISS)),
  );
}

function ratioOf(hits: number, misses: number): PoolExplanation["lastDay"] {
  const all = hits + misses;
  return { hits, misses, ...(all === 0 ? {} : { hitRatio: hits / all }) };
}

function missesOf(counts: readonly PoolCount[], now: number): Record<string, number> {
  const reasons = new Map<string, number>();
  for (const { what, amount } of counts.filter((count) => isOfLastDay(count, now) && count.what.startsWith(MISS))) {
    const reason = what.slice(MISS.length);
    reasons.set(reason, (reasons.get(reason) ?? 0) + amount);
  }
  return Object.fromEntries(reasons);
}

/** Time that members took which wait still. */
function medianOf(members: readonly PoolMember[]): number | undefined {
  const times = members.flatMap(({ createdAt, readyAt }) => (readyAt === undefined ? [] : [readyAt - createdAt]));
  return times.toSorted((one, other) => one - other)[Math.floor((times.length - 1) / 2)];
}

/** What was counted when members went, and what those have cost that are there. */
function idleOf(
  { members, counts }: Recorded,
  requests: Parameters<typeof idleCost>[0] | undefined,
  now: number,
): Pick<PoolExplanation, "idleUsd" | "idleUsdPerHour"> {
  const counted = sumOf(counts, ({ what }) => what === IDLE) / 1e6;
  if (requests === undefined) return { idleUsd: counted, idleUsdPerHour: 0 };
  const present = members.filter(({ state }) => state !== "claimed");
  const waitedMs = present.reduce((sum, { createdAt }) => sum + Math.max(0, now - createdAt), 0);
  return {
    idleUsd: counted + idleCost(requests, waitedMs),
    idleUsdPerHour: idleCost(requests, present.length * HOUR_MS),
  };
}
