/**
 * Moves an environment to another cluster with its files, unpushed work included. Its login keeps working.
 *
 * The new place is made ready while people go on working in the old one; from when their sessions are cut until they can be
 * in again only what the files are takes time. Until the record names the new cluster the old place is untouched, so a
 * move that fails at any point before has not happened. Both places are in the inventory from before the new one is made until
 * one of them is gone: whatever ends us, `moved.ts` finds in it what is to go.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import { place } from "../policy/placement.ts";
import type { Runtime, StartSpec } from "../runtime/runtime.ts";
import type { EnvironmentRecord } from "../store/environments.ts";
import { otherClusters } from "../wire/environment.ts";
import { specOf } from "./bring-up.ts";
import type { Clusters } from "./clusters.ts";
import { conditionOf } from "./conditions.ts";
import type { Context } from "./context.ts";
import { envOf, readDefinition, startSpecOf } from "./definition.ts";
import { alone, type Entries, type Entry, halt } from "./entries.ts";
import { plainLine, stepLine } from "./lines.ts";
import { clearMoved } from "./moved.ts";
import { startOpening, startTakingUp } from "./opening.ts";
import type { Report } from "./shared-work.ts";

export interface MigrateRequest {
  readonly record: EnvironmentRecord;
  /** Name of the cluster. */
  readonly to: string;
  /** Who asked. */
  readonly by: string;
  /** Whatever is in volumes that do not move. */
  readonly force: boolean;
  readonly report: Report;
}

/** @returns how long nobody could be in it, in milliseconds */
export async function migrateEnvironment(
  context: Context,
  entries: Entries,
  request: MigrateRequest,
  signal: AbortSignal,
): Promise<number> {
  const { clusters, clock, log } = context;
  if (clusters === undefined) throw noClusters(request.to);
  const { id, cluster: from, login } = request.record;
  const entry = entries.of(id);
  const moving: Moving = { context, clusters, entry, request };
  const { record, wasAsleep } = await begin(moving);
  let cutAt: number;
  try {
    await prepareThere(moving, record, AbortSignal.any([signal, entry.stop.signal]));
    cutAt = await alone(entry, () => cutOver(moving, wasAsleep, signal));
  } catch (error) {
    entry.isMoving = false;
    void clearMoved(context, entries, id);
    throw error;
  }
  entry.isMoving = false;
  await (entry.opening ?? startTakingUp(context, entry)).join(request.report, signal);
  const downMs = Math.round(clock.elapsed() - cutAt);
  log.info("environment.moved", { environment: id, login, from, to: request.to, by: request.by, downMs });
  request.report(plainLine(`${login} is on the cluster ${request.to}; nobody could be in it for ${downMs} ms`));
  void clearMoved(context, entries, id);
  return downMs;
}

interface Moving {
  readonly context: Context;
  readonly clusters: Clusters;
  readonly entry: Entry;
  readonly request: MigrateRequest;
}

/** Writes down that there will be two places. */
async function begin({ context, clusters, entry, request }: Moving): Promise<Begun> {
  const { store, runtime } = context;
  return alone(entry, async () => {
    await entry.opening?.done.catch(() => undefined); // what of it went wrong is told to those who wait for it
    const { record, capacity } = await mustBeMovable(context, clusters, request);
    const { id, cluster } = record;
    if (entry.isMoving || entry.clearing !== undefined || otherClusters(record).length > 0) throw beingMoved(record);
    const { power, volumes = [] } = await runtime.observe(id);
    if (volumes.length > 0 && !request.force) throw wouldLeave(request, volumes);
    const item = { type: "kubernetes", id } as const;
    const inventory = [
      { ...item, state: "present", cluster },
      { ...item, state: "intended", cluster: request.to },
    ] as const;
    entry.isMoving = true; // before anything is written that would be cleared away
    try {
      // Under the fence that there is: commands that go on in the background still write down how they end.
      const room = await store.takeRoom(id, record.fence, { cluster: request.to, capacity, inventory });
      if (room === "full") throw full(request);
      mustBeOurs(room === "taken", record);
      return { record, wasAsleep: power !== "running" };
    } catch (error) {
      entry.isMoving = false;
      throw error;
    }
  });
}

interface Begun {
  readonly record: EnvironmentRecord;
  readonly wasAsleep: boolean;
}

/** Makes it ready there, with nobody in it. */
async function prepareThere(
  { context, clusters, request: { to, report } }: Moving,
  record: EnvironmentRecord,
  signal: AbortSignal,
): Promise<void> {
  const begunAt = context.clock.elapsed();
  const spec = { ...specOf(context, record), cluster: to };
  const step = (): void => undefined;
  const there = clusters.at(to);
  await there.create(spec, step, signal);
  await there.start(spec, withoutService(startOf(context, record)), step, signal);
  report(stepLine(`making it ready on ${to}`, context.clock.elapsed() - begunAt));
}

/** Takes everybody out and the files over. @returns since when nobody could be in it, on the clock that never jumps */
async function cutOver({ context, clusters, entry, request }: Moving, wasAsleep: boolean, signal: AbortSignal) {
  const { store, clock } = context;
  const { to, by, report } = request;
  const { record } = await mustBeMovable(context, clusters, request);
  const { fence } = await store.begin(record.id, "moving");
  const places = { from: clusters.at(record.cluster), there: clusters.at(to) };
  const moved: Moved = { record: { ...record, fence }, to, ...places };
  const told = `${record.login} is moved to the cluster ${to} by ${by}; log in again in a moment`;
  for (const listener of entry.goneListeners) listener(told);
  await halt(entry, new Fault("environment.gone", `Cannot go on with "${record.id}": it is being moved`, { told }));
  const cutAt = clock.elapsed();
  const still = new AbortController();
  try {
    await takeFiles(context, moved, AbortSignal.any([signal, still.signal]));
    report(stepLine("copying its files", clock.elapsed() - cutAt));
    const { conditions, inventory } = whatIsThere(record, to);
    const isOurs = await store.end(record.id, fence, { cluster: to, power: "running", conditions, inventory });
    mustBeOurs(isOurs, record);
    clusters.forget(record.id);
    return cutAt;
  } catch (error) {
    await stayHere(context, entry, { moved, wasAsleep });
    throw error;
  } finally {
    still.abort();
  }
}

interface Moved {
  readonly record: EnvironmentRecord;
  readonly to: string;
  readonly from: Runtime;
  readonly there: Runtime;
}

/** Copies everything while nothing goes on here, waking it if it sleeps, and has everything run there. */
async function takeFiles(context: Context, { record, to, from, there }: Moved, signal: AbortSignal): Promise<void> {
  if (from.pack === undefined || there.unpack === undefined)
    throw new Error("Cannot move files: a runtime has no way to");
  const start = startOf(context, record);
  const spec = { ...specOf(context, record), cluster: to };
  const step = (): void => undefined;
  if ((await from.observe(record.id)).power !== "running")
    await from.start(specOf(context, record), withoutService(start), step, signal);
  await there.unpack(record.id, await from.pack(record.id, signal), signal);
  await there.start(spec, start, step, signal);
}

/** What a record says of an environment that runs on another cluster now, and has been left on the one it was on. */
function whatIsThere(
  { id, cluster, conditions }: EnvironmentRecord,
  to: string,
): Pick<EnvironmentRecord, "conditions" | "inventory"> {
  const item = { type: "kubernetes", id, state: "present" } as const;
  return {
    // It was started anew.
    conditions: conditions.filter(({ type }) => type !== "postStartCommand"),
    inventory: [
      { ...item, cluster: to },
      { ...item, cluster },
    ],
  };
}

/** The move did not happen: what ran here is to run again, and what slept to sleep. */
async function stayHere(
  context: Context,
  entry: Entry,
  { moved: { record, from }, wasAsleep }: { readonly moved: Moved; readonly wasAsleep: boolean },
): Promise<void> {
  const { store, clock, log } = context;
  await store.end(record.id, record.fence, {});
  if (!wasAsleep) startOpening(context, entry, { askedSince: clock.now() });
  else
    await from.sleep(record.id).catch((error: unknown) => {
      log.warn("environment.not-asleep", { environment: record.id, err: error });
    });
}

function startOf(context: Context, record: EnvironmentRecord): StartSpec {
  const { definition } = readDefinition(record.definition, record, "kubernetes");
  return startSpecOf(definition, envOf(context, record, definition));
}

/** With nobody in it, and files that will be replaced. */
function withoutService({ run: _run, ...start }: StartSpec): StartSpec {
  return start;
}

function mustBeOurs(isOurs: boolean, { id, login }: EnvironmentRecord): void {
  if (isOurs) return;
  throw new Fault("environment.overtaken", `Cannot move "${id}": another operation on it began`, {
    told: `${login} is being removed, or was entered, at the same time; it stays where it is`,
  });
}

function full({ record: { id, login }, to }: MigrateRequest): Fault {
  return new Fault("cluster.full", `Cannot move "${id}" to "${to}": others took the room that was there`, {
    told: `${to} is full since a moment ago; ${login} stays where it is`,
  });
}

function wouldLeave({ record: { id, login }, to }: MigrateRequest, volumes: readonly string[]): Fault {
  const told = [
    `${login} has volumes that are not moved, and begin anew on ${to}:`,
    ...volumes.map((name) => `  volume  ${name}`),
    `nothing was moved; to give up what is in them: migrate ${login} --to ${to} --force`,
  ].join("\n");
  return new Fault("environment.unsaved", `Cannot move "${id}": it has volumes ${volumes.join(", ")}`, { told });
}

function beingMoved({ id, login }: EnvironmentRecord): Fault {
  return new Fault("usage.wrong", `Cannot move "${id}": a move of it is under way, or not cleared away yet`, {
    told: `${login} is being moved, or what an earlier move left of it is; try again in a minute`,
  });
}

/** Looks again, now that nobody else does anything with it. */
async function mustBeMovable(
  { store }: Context,
  clusters: Clusters,
  { record: { id, login }, to }: MigrateRequest,
): Promise<{ record: EnvironmentRecord; capacity: number }> {
  const record = await store.find(id);
  if (record === undefined || record.desired === "absent") {
    const told = `there is no environment ${login}`;
    throw new Fault("environment.absent", `Cannot move "${id}": it is gone`, { told });
  }
  // What failed while it was made is cleared away, whatever else is done with it.
  if (conditionOf(record.conditions, "CheckedOut") === undefined) {
    const told = `${login} has no files yet: remove it, or enter it first`;
    throw new Fault("usage.wrong", `Cannot move "${id}": it was never made whole`, { told });
  }
  const known = await clusters.list();
  const there = known.find(({ name }) => name === to);
  if (there === undefined) {
    const told = `there is no cluster ${to}; there are: ${known.map(({ name }) => name).join(", ")}`;
    throw new Fault("usage.wrong", `Cannot move "${id}" to "${to}": no such cluster`, { told });
  }
  if (record.cluster === to) {
    throw new Fault("usage.wrong", `Cannot move "${id}" to "${to}": it is there`, {
      told: `${login} is on ${to} already`,
    });
  }
  const { podSecurity, placement = {} } = readDefinition(record.definition, record, "kubernetes").definition.container;
  // Once the move has begun it is counted there already.
  const others = otherClusters(record).includes(to) ? there.present - 1 : there.present;
  const ask = { person: record.person, podSecurity, wantedLabels: placement };
  const verdict = place(ask, [{ ...there, present: others }]);
  if (verdict.type === "placed") return { record, capacity: there.capacity };
  throw new Fault(verdict.code, `Cannot move "${id}" to "${to}": ${verdict.told}`, { told: verdict.told });
}

function noClusters(to: string): Fault {
  return new Fault("usage.wrong", `Cannot move an environment to "${to}": the settings have no clusters`, {
    told: "there are no clusters here: environments run on one machine",
  });
}
