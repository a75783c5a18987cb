/**
 * Ends every process of an environment at somebody's word; its files stay, and whoever enters next wakes it.
 *
 * Called by `environments.ts` and `remove.ts`.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import type { EnvironmentRecord } from "../store/environments.ts";
import { conditionOf } from "./conditions.ts";
import type { Context } from "./context.ts";
import { alone, type Entries, type Entry, halt } from "./entries.ts";

export interface SleepOptions {
  readonly record: EnvironmentRecord;
  /** What its sessions are told as they are cut. */
  readonly told: string;
}

/**
 * Puts an environment to sleep after whatever else is being done to it.
 *
 * @throws {Fault} `runtime.unable`, with nothing done to it, where its files would be lost; `environment.absent` when it is gone
 */
export async function sleepEnvironment(context: Context, entries: Entries, options: SleepOptions): Promise<void> {
  const entry = entries.of(options.record.id);
  await alone(entry, async () => {
    const record = await context.store.find(entry.id);
    if (record === undefined || record.desired === "absent") {
      const told = `there is no environment ${options.record.login}`;
      throw new Fault("environment.absent", `Cannot put "${entry.id}" to sleep: it is gone`, { told });
    }
    await putToSleep(context, entry, { ...options, record });
  });
}

/** The same for who is `alone` with it already. */
export async function putToSleep(context: Context, entry: Entry, { record, told }: SleepOptions): Promise<void> {
  const { store, runtime, log } = context;
  const { id, login, person } = record;
  // Before anybody is cut for it.
  const { sleepless } = await runtime.observe(id);
  if (sleepless !== undefined)
    throw new Fault("runtime.unable", `Cannot put "${id}" to sleep: ${sleepless}`, { told: sleepless });
  for (const listener of entry.goneListeners) listener(told);
  await halt(entry, new Fault("environment.gone", `Cannot go on with "${id}": it is put to sleep`, { told }));
  const { fence, conditions } = await store.begin(id, "sleeping");
  // Before its checkout is complete there is nothing to end, and perhaps nothing there.
  if (conditionOf(conditions, "CheckedOut") !== undefined) await runtime.sleep(id);
  await store.end(id, fence, { power: "sleeping" });
  log.info("environment.put-to-sleep", { environment: id, login, person });
}
