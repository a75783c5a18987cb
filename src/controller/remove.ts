/**
 * Takes environments down for good.
 *
 * Nothing that a person has not pushed goes without their word: it is looked for before, and again when nobody is in the
 * environment any more and, where it can sleep, nothing in it can write. From the moment its record says `absent` it cannot
 * come back, and whoever finds that record, after whatever crash, goes on destroying.
 *
 * @module
 */
import { Fault, toldOf } from "../base/fault.ts";
import type { Unsaved } from "../runtime/runtime.ts";
import type { EnvironmentRecord } from "../store/environments.ts";
import { conditionOf } from "./conditions.ts";
import type { Context } from "./context.ts";
import { alone, type Entries, type Entry, halt } from "./entries.ts";
import { destroyLeft } from "./moved.ts";
import { putToSleep } from "./put-to-sleep.ts";

export interface RemoveOptions {
  /** Whatever is not pushed. */
  readonly force: boolean;
  /** Who asked. */
  readonly by: string;
}

/**
 * Removes an environment and resolves when nothing is left of it. One that is gone already is removed.
 *
 * @throws {Fault} `environment.unsaved` listing the work that would be lost, unless `force`
 */
export async function removeEnvironment(
  context: Context,
  entries: Entries,
  { id }: EnvironmentRecord,
  options: RemoveOptions,
): Promise<void> {
  const entry = entries.of(id);
  await alone(entry, () => takeDown(context, entries, entry, options));
}

/** Destroys an environment that is to be absent, or that nobody has ever been in. */
export async function finishRemoval(context: Context, entries: Entries, id: string): Promise<void> {
  const { store, runtime, log } = context;
  const before = await store.find(id);
  // Tried again it is the same operation: by its number a runtime knows what went on with it since.
  const isTriedAgain = before?.desired === "absent" && before.operation === "destroying";
  const record = isTriedAgain ? before : await store.begin(id, "destroying");
  const { fence } = record;
  // Whoever has begun something else with it meanwhile is not to find it gone.
  if (!(await store.update(id, fence, { desired: "absent", power: "sleeping" }))) return;
  await runtime.destroy(id, fence);
  await destroyLeft(context, record);
  await store.remove(id, fence);
  entries.forget(id);
  log.info("environment.destroyed", { environment: id });
}

async function takeDown(context: Context, entries: Entries, entry: Entry, { force, by }: RemoveOptions): Promise<void> {
  const { store, runtime, audit, log } = context;
  const { id } = entry;
  const before = await store.find(id);
  if (before === undefined) {
    entries.forget(id);
    return;
  }
  if (!force) await mustBeSavedAwake(context, entry, before);
  const told = `${before.login} was removed by ${by}`;
  for (const listener of entry.goneListeners) listener(told);
  await halt(entry, new Fault("environment.gone", `Cannot go on with "${id}": it is being removed`, { told }));
  // Read again: what was under way may have made its files before it stopped.
  const record = await store.begin(id, "destroying");
  // Whatever is given up need not end before it is destroyed, which may be all that can be done with it.
  if (hasFiles(record) && !force) {
    try {
      if ((await runtime.observe(id)).sleepless === undefined) await runtime.sleep(id);
      await mustBeSaved(context, record);
    } catch (error) {
      await store.end(id, record.fence, { power: "sleeping" });
      throw error;
    }
  }
  log.info("environment.removed", { environment: id, login: record.login, person: record.person, by, force });
  void audit.append({ type: "environment.destroyed", environment: id, person: record.person, by, forced: force });
  await finishRemoval(context, entries, id);
}

function hasFiles(record: EnvironmentRecord): boolean {
  return conditionOf(record.conditions, "CheckedOut") !== undefined;
}

/** Looks where it runs, and where nobody can look there, as with all its processes used, once it sleeps. */
async function mustBeSavedAwake(context: Context, entry: Entry, record: EnvironmentRecord): Promise<void> {
  try {
    await mustBeSaved(context, record);
  } catch (error) {
    if (error instanceof Fault && error.code === "environment.unsaved") throw error;
    context.log.warn("environment.not-looked-at", { environment: record.id, err: error });
    if ((await context.runtime.observe(record.id)).sleepless !== undefined) {
      const doubts = [`nobody can look for work in it: ${toldOf(error)}`];
      throw unsavedIn(record, { changedPaths: [], changedCount: 0, commits: [], commitCount: 0, doubts });
    }
    const told = `${record.login} was put to sleep to look for work that is not pushed`;
    await putToSleep(context, entry, { record, told });
    await mustBeSaved(context, record);
  }
}

async function mustBeSaved({ runtime }: Context, record: EnvironmentRecord): Promise<void> {
  if (!hasFiles(record)) return;
  const unsaved = await runtime.unsaved(record.id);
  if (holdsWork(unsaved)) throw unsavedIn(record, unsaved);
}

function unsavedIn({ id, login }: EnvironmentRecord, unsaved: Unsaved): Fault {
  const { changedCount, commitCount } = unsaved;
  return new Fault(
    "environment.unsaved",
    `Cannot remove "${id}": ${changedCount} paths and ${commitCount} commits are not pushed, needs none`,
    { told: tellUnsaved(login, unsaved) },
  );
}

/** Says whether there is work that no forge has. */
export function holdsWork({ changedCount, commitCount, doubts = [] }: Unsaved): boolean {
  return changedCount > 0 || commitCount > 0 || doubts.length > 0;
}

function tellUnsaved(login: string, unsaved: Unsaved): string {
  const { changedPaths, changedCount, commits, commitCount, doubts = [] } = unsaved;
  const list = (what: string, names: readonly string[], count: number): string[] => [
    ...names.map((name) => `  ${what} ${name.replace(/\p{C}/gu, "?")}`),
    ...(count > names.length ? [`  … and ${count - names.length} more`] : []),
  ];
  return [
    `${login} ${changedCount + commitCount > 0 ? "has" : "may have"} work that is not pushed:`,
    ...list("changed", changedPaths, changedCount),
    ...list("commit ", commits, commitCount),
    ...list("unclear", doubts, doubts.length),
    `nothing was removed; push it, or give it up with: rm ${login} --force (home and ignored files go too)`,
  ].join("\n");
}
