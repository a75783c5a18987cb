/**
 * Brings records and machine together: at the start of a service, whatever ended the one before, and then again and again.
 *
 * Called by `environments.ts`.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import { keep } from "../base/keep.ts";
import type { EnvironmentRecord } from "../store/environments.ts";
import { otherClusters } from "../wire/environment.ts";
import { conditionOf } from "./conditions.ts";
import type { Context } from "./context.ts";
import { alone, endCalls, type Entries, type Entry } from "./entries.ts";
import { type Garbage, whyWorth } from "./garbage.ts";
import { clearMoved } from "./moved.ts";
import { startOpening, startTakingUp } from "./opening.ts";
import { finishRemoval } from "./remove.ts";

/** Between two looks at all environments (guess: disks fill and processes die in minutes). */
const LOOK_EVERY_MS = 30_000;

/**
 * Takes over what an earlier service left: what runs is adopted, what sleeps or died is said to sleep, what was half made
 * or half removed goes, and what nobody recorded goes if there is no work in it. Nobody may be let in before it resolves;
 * what takes longer goes on after it.
 */
export async function adoptAll(context: Context, entries: Entries): Promise<void> {
  const records = await context.store.list();
  const quick: Promise<void>[] = [];
  for (const record of records) {
    const settled = settle(context, entries, record.id);
    if (!isGoing(record)) quick.push(settled);
  }
  await Promise.all(quick);
  await clearUnrecorded(context, records);
  clearAllMoved(context, entries, records);
}

export interface Watched {
  readonly context: Context;
  readonly entries: Entries;
  readonly garbage: Garbage;
}

/** Looks at every environment every 30 s until `signal` aborts. */
export function watchAll({ context, entries, garbage }: Watched, signal: AbortSignal): Promise<void> {
  const { clock, log, store } = context;
  const look = async (): Promise<number> => {
    const records = await store.list();
    const recorded = new Set(records.map(({ id }) => id));
    for (const entry of entries.all()) if (!recorded.has(entry.id) && !isInUse(entry)) entries.forget(entry.id);
    for (const record of records) {
      if (isBusy(entries.of(record.id))) continue;
      const settled = settle(context, entries, record.id);
      if (!isGoing(record)) await settled; // one that something holds would keep all others waiting
    }
    clearAllMoved(context, entries, records);
    await garbage.sweep(false);
    return LOOK_EVERY_MS;
  };
  const onFailure = (error: unknown): void => {
    log.error("environments.unwatched", error);
  };
  return clock.sleep(LOOK_EVERY_MS, signal).then(
    () => keep(look, { clock, onFailure }, signal),
    () => undefined, // aborted before the first look
  );
}

/** Nobody waits for it: namespaces take their time to go. */
function clearAllMoved(context: Context, entries: Entries, records: readonly EnvironmentRecord[]): void {
  for (const record of records) if (otherClusters(record).length > 0) void clearMoved(context, entries, record.id);
}

/** Whether all that is left to do for it is to clear it away, which takes as long as its place does. */
function isGoing({ desired, conditions }: EnvironmentRecord): boolean {
  return desired === "absent" || conditionOf(conditions, "CheckedOut") === undefined;
}

function isBusy(entry: Entry): boolean {
  return entry.opening !== undefined || entry.exclusive !== undefined;
}

function isInUse(entry: Entry): boolean {
  return isBusy(entry) || entry.sessions.size > 0;
}

/** Makes the record of an environment say what is so. Never rejects: what fails is tried again at the next look. */
async function settle(context: Context, entries: Entries, id: string): Promise<void> {
  const entry = entries.of(id);
  try {
    await alone(entry, async () => {
      const record = await context.store.find(id);
      // Somebody may have begun to open it while we waited.
      if (record !== undefined && entry.opening === undefined) await settleRecord(context, entries, record);
    });
  } catch (error) {
    // Its cluster is away, which is told by itself; it is settled when that is back.
    const isAway = error instanceof Fault && error.code === "cluster.unreached";
    if (isAway) context.log.debug("environment.out-of-sight", { environment: id, err: error });
    else context.log.error("environment.unsettled", error, { environment: id });
  }
}

async function settleRecord(context: Context, entries: Entries, record: EnvironmentRecord): Promise<void> {
  const { store, runtime, log } = context;
  const { id, login } = record;
  const entry = entries.of(id);
  if (record.desired === "absent") return finishRemoval(context, entries, id);
  if (conditionOf(record.conditions, "CheckedOut") === undefined) {
    // Nobody has been in it: what is there of it is of no use to anyone.
    log.warn("environment.half-made", { environment: id, login });
    return finishRemoval(context, entries, id);
  }
  const { power, checkedOut, diskBytes } = await runtime.observe(id);
  noteDisk(context, entry, diskBytes);
  if (power === "running") {
    if (entry.live !== undefined) return;
    // What runs was told to stand still for a move that did not happen; what does not run any more is started again.
    if (record.operation === "moving") startOpening(context, entry, { askedSince: context.clock.now() });
    else startTakingUp(context, entry);
    return;
  }
  const isNews = entry.live !== undefined || record.power !== "sleeping" || record.operation !== undefined;
  if (checkedOut && !isNews) return;
  entry.live = undefined;
  await endCalls(entry);
  const facts = { environment: id, login, power: record.power, operation: record.operation };
  if (checkedOut) log.warn("environment.sleeps", facts);
  else log.error("environment.lost", new Error("Cannot find the files of an environment"), facts);
  // Without its files it is as if it had never been made: the next who enters makes it.
  const changes = checkedOut ? {} : { conditions: [] };
  const { fence } = await store.begin(id, "sleeping");
  await store.end(id, fence, { power: "sleeping", ...changes });
}

/** Watched, not enforced: its person is told at each connection, and the operator once. */
function noteDisk({ limits, log }: Context, entry: Entry, diskBytes: number | undefined): void {
  const limitBytes = limits.environment.diskBytes ?? Number.POSITIVE_INFINITY;
  const wasOver = (entry.diskBytes ?? 0) > limitBytes;
  entry.diskBytes = diskBytes;
  if (!wasOver && (diskBytes ?? 0) > limitBytes) {
    log.warn("environment.over-disk", { environment: entry.id, diskBytes, limitBytes });
  }
}

/**
 * On this machine what nobody recorded goes at once: only what holds no work, and nothing at all when the database is empty,
 * perhaps lost. Clusters are swept by `garbage.ts`, with time for people to see it.
 */
async function clearUnrecorded(
  { runtime, log, clusters }: Context,
  records: readonly EnvironmentRecord[],
): Promise<void> {
  if (clusters !== undefined) return;
  const recorded = new Set(records.map(({ id }) => id));
  for (const id of (await runtime.list()).filter((listed) => !recorded.has(listed))) {
    try {
      const why = records.length === 0 ? "the database is empty" : await whyWorth(runtime, id);
      if (why === undefined) {
        log.warn("environment.unrecorded-destroyed", { environment: id });
        await runtime.destroy(id);
      } else log.warn("environment.unrecorded-kept", { environment: id, why });
    } catch (error) {
      log.error("environment.unrecorded-kept", error, { environment: id });
    }
  }
}
