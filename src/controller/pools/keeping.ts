/**
 * One look at all pools: what is too many or too old goes at once, what is missing is made, a little at a time. It decides
 * by what is recorded and not by what happened, so that after `kill -9` at any instant the next look goes on.
 *
 * Called by `pools.ts`, look after look.
 *
 * @module
 */
import { randomInt } from "node:crypto";
import { toldOf } from "../../base/fault.ts";
import { unlessAborted } from "../../base/unless-aborted.ts";
import { nextLookAt, wantedSize } from "../../policy/pool.ts";
import { pausedUntil, type PlannedMember, planPool } from "../../policy/pool-plan.ts";
import type { PoolFailure, PoolMember } from "../../store/pools.ts";
import type { PoolSettings } from "../../wire/cluster-settings.ts";
import { makeMember, takeAway } from "./making.ts";
import type { MemberPlace, MemberSpec, PoolsOptions } from "./ports.ts";
import { type Described, LONG_AGO, noteTime, type PoolState } from "./state.ts";

/** Between two looks when nothing happens, and before what failed is tried again (guess). */
const LOOK_MS = 30_000;

/**
 * Members being made at once, of one pool and over all pools: they take processors and requests from those who work. Over all
 * pools slow ones do not count, so that no pool keeps the others from being filled, whatever is wrong with it.
 */
const MAKING_MAX = 2;

/** Making one takes 1.1 to 1.7 s (measured); one that takes longer than this waits for a node, an image or its commands (guess). */
const SLOW_MS = 30_000;

/** Taking away is little work. */
const LEAVING_MAX = 10;

/** How soon to look again whether people still wait (guess); the longer they have, the later. */
const BUSY_MS = 250;

/**
 * How long members are held back for people who wait, who are some seconds at it where all goes well. Whoever waits for longer,
 * up to an hour, waits for a node, an image or their own commands, which members do not keep from them (guess).
 */
const HELD_MS = 10_000;

/** What members are made from may have changed; a push tells sooner (`look`). */
const DESCRIBED_MS = 60_000;
const DESCRIBE_MS_MAX = 20_000;

/** Whoever was handed a member has so long to write the record of its environment. */
const HANDED_MS = 5 * 60_000;

/** Takes a look. @returns how long to wait for the next, in milliseconds */
export async function lookAtPools(options: PoolsOptions, state: PoolState, signal: AbortSignal): Promise<number> {
  const { settings, store, clock } = options;
  await Promise.all(settings.map((pool) => describe(options, state, pool, signal)));
  // Before the list: one that gets ready between the two would else be taken for left behind, and another one made.
  const making = new Set(state.making.keys());
  const members = await store.pools.list();
  const failures = new Map((await store.pools.failures()).map((failure) => [failure.pool, failure]));
  const needs: Need[] = [];
  for (const pool of settings) {
    const own = members.filter((member) => member.pool === pool.name);
    needs.push(await shrink(options, state, { pool, making, members: own, failures: failures.get(pool.name) }));
  }
  const known = new Set(settings.map(({ name }) => name));
  for (const member of members.filter(({ pool }) => !known.has(pool))) {
    if (member.state !== "claimed") await retire(options, state, member, "the settings have no such pool");
  }
  for (const member of members) {
    if (member.state === "claimed") await settleClaimed(options, state, member);
    else if (member.state === "leaving") startTakingAway(options, state, member);
  }
  const waits = [LOOK_MS, await fill(options, state, needs, signal)];
  const now = clock.now();
  for (const pool of settings) waits.push((nextLookAt(pool, now) ?? Infinity) - now);
  for (const { paused } of needs) waits.push((paused ?? Infinity) - now);
  return Math.max(0, Math.min(...waits));
}

/** Reads again what members are made from, when that was a while ago. One pool's trouble is its own. */
async function describe(
  options: PoolsOptions,
  state: PoolState,
  pool: PoolSettings,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = options;
  const known = state.described.get(pool.name);
  if (known !== undefined && clock.elapsed() - known.readAt < DESCRIBED_MS) return;
  const note = (read: Omit<Described, "readAt">): void => {
    // What was read may be older than a push that was told of meanwhile.
    const isCurrent = state.described.get(pool.name) === known;
    state.described.set(pool.name, { ...read, readAt: isCurrent ? clock.elapsed() : LONG_AGO });
  };
  const late = new AbortController();
  const cancel = clock.after(DESCRIBE_MS_MAX, () => late.abort(new Error("Cannot describe a pool: it takes too long")));
  const until = AbortSignal.any([signal, late.signal]);
  try {
    const spec = await unlessAborted(options.describe(pool, until), until);
    note({ spec, trouble: undefined });
  } catch (error) {
    signal.throwIfAborted();
    log.warn("pool.not-described", { pool: pool.name, err: error });
    note({ spec: known?.spec, trouble: toldOf(error) });
  } finally {
    cancel();
  }
}

/** What a pool may be given. */
interface Need {
  readonly pool: PoolSettings;
  readonly spec: MemberSpec | undefined;
  readonly wanted: number;
  missing: number;
  /** Epoch ms. */
  readonly paused: number | undefined;
}

interface Looked {
  readonly pool: PoolSettings;
  readonly members: readonly PoolMember[];
  readonly making: ReadonlySet<string>;
  readonly failures: PoolFailure | undefined;
}

/** Has members go that are not wanted, and says how many are missing. */
async function shrink(options: PoolsOptions, state: PoolState, looked: Looked): Promise<Need> {
  const { pool, members, making, failures } = looked;
  const now = options.clock.now();
  const spec = state.described.get(pool.name)?.spec;
  const wanted = wantedSize(pool, now);
  const planned = members.flatMap((member) => asPlanned(member) ?? []);
  const plan = planPool({ wanted, version: spec?.version, members: planned, making, failures });
  for (const { id, because } of plan.retire) {
    const member = members.find((one) => one.id === id);
    if (member !== undefined) await retire(options, state, member, because);
  }
  return { pool, spec, wanted, missing: plan.missing, paused: pausedUntil(failures, spec?.version, now) };
}

function asPlanned({ id, version, state, createdAt }: PoolMember): PlannedMember | undefined {
  return state === "claimed" || state === "leaving" ? undefined : { id, version, state, createdAt };
}

/** Has a member go, unless it was claimed or made ready meanwhile: then the next look decides again. */
async function retire(options: PoolsOptions, state: PoolState, member: PoolMember, because: string): Promise<void> {
  if (member.state !== "leaving" && !(await options.store.pools.move(member.id, member.state, "leaving", because)))
    return;
  state.making.get(member.id)?.stop.abort();
  startTakingAway(options, state, { ...member, state: "leaving", reason: because });
}

/** A claimed member has become an environment, or is still to become one, or never will. */
async function settleClaimed(options: PoolsOptions, state: PoolState, member: PoolMember): Promise<void> {
  const { store, clock } = options;
  const handedAt = state.handed.get(member.id);
  if ((await store.environments.find(member.id)) !== undefined) await store.pools.remove(member.id);
  else if (handedAt !== undefined && clock.elapsed() - handedAt < HANDED_MS) return;
  else await retire(options, state, member, "no environment was made of it");
  state.handed.delete(member.id);
}

function startTakingAway(options: PoolsOptions, state: PoolState, member: PoolMember): void {
  const { clock, log } = options;
  const { id } = member;
  if (state.leaving.has(id) || state.leaving.size >= LEAVING_MAX) return;
  if (clock.elapsed() < (state.leaveAgainAt.get(id) ?? 0)) return;
  const work = async (): Promise<void> => {
    await state.making.get(id)?.done;
    await takeAway(options, member, state.described.get(member.pool)?.spec);
    state.leaveAgainAt.delete(id);
  };
  const done = work().then(
    () => state.bell.ring(),
    (error: unknown) => {
      log.warn("pool.member-stays", { pool: member.pool, member: id, err: error });
      state.leaveAgainAt.set(id, clock.elapsed() + LOOK_MS);
    },
  );
  state.leaving.set(
    id,
    done.finally(() => state.leaving.delete(id)),
  );
}

/** Begins to make what is missing, as much as may be made at once. @returns how long to wait at most, in milliseconds */
async function fill(options: PoolsOptions, state: PoolState, needs: Need[], signal: AbortSignal): Promise<number> {
  const { clock } = options;
  const untilSlow = (): number[] =>
    [...state.making.values()].map(({ begunAt }) => begunAt + SLOW_MS - clock.elapsed());
  while (untilSlow().filter((ms) => ms > 0).length < MAKING_MAX) {
    const able = needs.filter((need) => isAble(options, state, need));
    const need = able.toSorted((one, other) => missingShare(other) - missingShare(one))[0];
    if (need?.spec === undefined) {
      state.heldSince = undefined;
      break;
    }
    const waitMs = holdBack(options, state);
    if (waitMs > 0) return waitMs;
    need.missing -= 1;
    await startMaking(options, state, { pool: need.pool, spec: need.spec }, signal);
  }
  const ends = [...state.waiting.values()].map(({ until }) => until - clock.elapsed());
  return Math.min(LOOK_MS, ...[...ends, ...untilSlow()].filter((ms) => ms > 0));
}

/** Lets people come first, for a while. @returns how long to wait before the next look; 0 when nothing is held back */
function holdBack(options: PoolsOptions, state: PoolState): number {
  const { clock } = options;
  if (!options.isBusy()) {
    state.heldSince = undefined;
    return 0;
  }
  state.heldSince ??= clock.elapsed();
  const heldMs = clock.elapsed() - state.heldSince;
  return heldMs < HELD_MS ? Math.min(Math.max(BUSY_MS, heldMs / 2), HELD_MS - heldMs) : 0;
}

/** Says whether one more member of a pool may be begun, as far as the pool goes. */
function isAble({ clock }: PoolsOptions, state: PoolState, { pool, missing, paused, spec }: Need): boolean {
  const isWaiting = clock.elapsed() < (state.waiting.get(pool.name)?.until ?? 0);
  const makingCount = [...state.making.values()].filter((making) => making.pool === pool.name).length;
  return missing > 0 && paused === undefined && spec !== undefined && !isWaiting && makingCount < MAKING_MAX;
}

function missingShare({ missing, wanted }: Need): number {
  return missing / wanted;
}

async function startMaking(
  options: PoolsOptions,
  state: PoolState,
  { pool, spec }: { readonly pool: PoolSettings; readonly spec: MemberSpec },
  signal: AbortSignal,
): Promise<void> {
  const { store, clock, log } = options;
  const wait = (because: string): void => {
    state.waiting.set(pool.name, { because, until: clock.elapsed() + LOOK_MS });
  };
  let place: MemberPlace;
  try {
    place = await options.place(pool, spec.needs, signal);
  } catch (error) {
    signal.throwIfAborted();
    log.warn("pool.not-placed", { pool: pool.name, err: error });
    wait(toldOf(error));
    return;
  }
  const { cluster, capacity } = place;
  const { version, image } = spec;
  const id = makeId();
  const stop = new AbortController();
  const member = { id, cluster, pool: pool.name, version, ...(image === undefined ? {} : { image }) };
  if (!(await store.pools.add(member, capacity))) {
    // Somebody's environment took the last place since.
    wait(`${cluster} is full, ${capacity} of ${capacity} in use`);
    return;
  }
  state.waiting.delete(pool.name);
  const until = AbortSignal.any([signal, stop.signal]);
  const done = makeMember(options, { id, cluster, pool, spec }, until)
    .then(
      (made) => {
        if (made.type === "ready") noteTime(state, pool.name, made.tookMs);
        if (made.type === "away") wait(made.reason);
        state.bell.ring();
      },
      (error: unknown) => {
        if (!until.aborted) log.error("pool.member-unmade", error, { pool: pool.name, member: id });
      },
    )
    .finally(() => state.making.delete(id));
  state.making.set(id, { pool: pool.name, stop, begunAt: clock.elapsed(), done });
}

/** As ids of environments are: a member's becomes one. */
function makeId(): string {
  return Array.from({ length: 16 }, () => randomInt(36).toString(36)).join("");
}
