/**
 * Brings records and machine together: at the start of a service, whatever ended the one before, and then again and again.
 *
 * Called by `environments.ts`.
 *
 * @module
 */
import { keep } from "../base/keep.ts";
import type { EnvironmentRecord } from "../store/environments.ts";
import { conditionOf } from "./conditions.ts";
import type { Context } from "./context.ts";
import { alone, endCalls, type Entries, type Entry } from "./entries.ts";
import { startTakingUp } from "./opening.ts";
import { finishRemoval, holdsWork } from "./remove.ts";

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
    if (record.desired === "present") quick.push(settled);
  }
  await Promise.all(quick);
  await clearUnrecorded(context, records);
  await clearMoved(context, entries);
}

/** Looks at every environment every 30 s until `signal` aborts. */
export function watchAll(context: Context, entries: Entries, signal: AbortSignal): Promise<void> {
  const { clock, log, store } = context;
  const look = async (): Promise<number> => {
    const records = await store.list();
    const recorded = new Set(records.map(({ id }) => id));
    for (const entry of entries.all()) if (!recorded.has(entry.id) && !isInUse(entry)) entries.forget(entry.id);
    for (const { id } of records) if (!isBusy(entries.of(id))) await settle(context, entries, id);
    await clearMoved(context, entries);
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
    context.log.error("environment.unsettled", error, { environment: id });
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
    if (entry.live === undefined) startTakingUp(context, entry);
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
 * Records are written before anything is made and deleted after it is gone, so what has none was not made by this
 * database: only what holds no work is destroyed, and nothing at all when the database is empty, perhaps lost.
 */
async function clearUnrecorded(
  { runtime, log, clusters }: Context,
  records: readonly EnvironmentRecord[],
): Promise<void> {
  const recorded = new Set(records.map(({ id }) => id));
  for (const id of (await runtime.list()).filter((listed) => !recorded.has(listed))) {
    try {
      if ((await clusters?.pools.owns(id)) === true) continue;
      const isOurs = records.length > 0;
      const { checkedOut } = await runtime.observe(id);
      if (isOurs && !(checkedOut && holdsWork(await runtime.unsaved(id)))) {
        log.warn("environment.unrecorded-destroyed", { environment: id });
        await runtime.destroy(id);
      } else log.warn("environment.unrecorded-kept", { environment: id });
    } catch (error) {
      log.error("environment.unrecorded-kept", error, { environment: id });
    }
  }
}

/** What a move left on a cluster that its record does not name: the old place of one that was made, the new of one that was not. */
async function clearMoved({ clusters, store, log }: Context, entries: Entries): Promise<void> {
  for (const { name, isUp } of (await clusters?.list()) ?? []) {
    const runtime = isUp ? clusters?.at(name) : undefined;
    for (const id of (await runtime?.list()) ?? []) {
      const record = await store.find(id);
      if (record === undefined || record.cluster === name || isBusy(entries.of(id))) continue;
      log.warn("environment.moved-away", { environment: id, from: name, to: record.cluster });
      await runtime?.destroy(id).catch((error: unknown) => {
        log.error("environment.not-cleared", error, { environment: id, cluster: name });
      });
    }
  }
}
