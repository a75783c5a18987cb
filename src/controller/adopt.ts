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
import type { Entries, Entry } from "./entries.ts";
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
  await Promise.all(records.map((record) => settle(context, entries, record)));
  await clearUnrecorded(context, records);
}

/** Looks at every environment every 30 s until `signal` aborts. */
export function watchAll(context: Context, entries: Entries, signal: AbortSignal): Promise<void> {
  const { clock, log, store } = context;
  const look = async (): Promise<number> => {
    const records = await store.list();
    const recorded = new Set(records.map(({ id }) => id));
    for (const entry of entries.all()) if (!recorded.has(entry.id) && !isInUse(entry)) entries.forget(entry.id);
    for (const record of records) {
      const entry = entries.of(record.id);
      if (!isBusy(entry)) await settle(context, entries, record);
    }
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
  return entry.opening !== undefined || entry.removal !== undefined;
}

function isInUse(entry: Entry): boolean {
  return isBusy(entry) || entry.sessions.size > 0;
}

/** Makes one record say what is so. Nothing is under way with its environment in this process. */
async function settle(context: Context, entries: Entries, record: EnvironmentRecord): Promise<void> {
  const { store, runtime, log } = context;
  const { id, login } = record;
  const entry = entries.of(id);
  if (record.desired === "absent") {
    remove(context, entries, entry);
    return;
  }
  if (conditionOf(record.conditions, "CheckedOut") === undefined) {
    // Nobody has been in it: what is there of it is of no use to anyone.
    log.warn("environment.half-made", { environment: id, login });
    const fence = await store.begin(id, "destroying");
    await store.update(id, fence, { desired: "absent" });
    remove(context, entries, entry);
    return;
  }
  const { power, checkedOut, diskBytes } = await runtime.observe(id);
  entry.diskBytes = diskBytes;
  if (power === "running") {
    if (entry.live === undefined) startTakingUp(context, entry);
    return;
  }
  if (entry.live !== undefined || record.power !== "sleeping" || record.operation !== undefined) {
    log.warn("environment.sleeps", { environment: id, login, power: record.power });
    entry.live = undefined;
    await store.end(id, await store.begin(id, "sleeping"), { power: "sleeping" });
  }
  if (checkedOut) return;
  log.error("environment.lost", new Error("Cannot find the files of an environment"), { environment: id, login });
  await store.end(id, await store.begin(id, "sleeping"), { conditions: [] });
}

/** Destroys in the background; what fails is tried again at the next look. */
function remove(context: Context, entries: Entries, entry: Entry): void {
  entry.removal = finishRemoval(context, entries, entry.id)
    .catch((error: unknown) => context.log.error("environment.not-destroyed", error, { environment: entry.id }))
    .finally(() => (entry.removal = undefined));
}

/**
 * Records are written before anything is made and deleted after it is gone, so what has none was not made by this
 * database: only what holds no work is destroyed, and nothing at all when the database is empty, perhaps lost.
 */
async function clearUnrecorded({ runtime, log }: Context, records: readonly EnvironmentRecord[]): Promise<void> {
  const recorded = new Set(records.map(({ id }) => id));
  for (const id of (await runtime.list()).filter((listed) => !recorded.has(listed))) {
    try {
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
