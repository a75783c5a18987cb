/**
 * Moves an environment to another cluster with its files, unpushed work included. Its login keeps working.
 *
 * The new place is made ready while people go on working in the old one; from when their sessions are cut until they can be
 * in again only what the files are takes time. Until the record names the new cluster the old place is untouched, so a
 * move that fails at any point before has not happened.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import { place } from "../policy/placement.ts";
import type { EnvironmentRecord } from "../store/environments.ts";
import { specOf } from "./bring-up.ts";
import type { Clusters } from "./clusters.ts";
import type { Context } from "./context.ts";
import { envOf, readDefinition, startSpecOf } from "./definition.ts";
import { alone, type Entries, halt } from "./entries.ts";
import { plainLine, stepLine } from "./lines.ts";
import { startOpening } from "./opening.ts";
import type { Report } from "./shared-work.ts";

export interface MigrateRequest {
  readonly record: EnvironmentRecord;
  /** Name of the cluster. */
  readonly to: string;
  /** Who asked. */
  readonly by: string;
  readonly report: Report;
}

/** @returns how long nobody could be in it, in milliseconds */
export async function migrateEnvironment(
  context: Context,
  entries: Entries,
  request: MigrateRequest,
  signal: AbortSignal,
): Promise<number> {
  const { clusters, clock } = context;
  if (clusters === undefined) throw noClusters(request.to);
  const entry = entries.of(request.record.id);
  const cutAt = await alone(entry, async () => {
    const record = await mustBeMovable(context, clusters, request);
    const start = startOf(context, record);
    const { fence } = await context.store.begin(record.id, "moving");
    const moving: Moving = { context, clusters, record: { ...record, fence }, to: request.to, start };
    try {
      await prepareThere(moving, request.report, signal);
      const told = `${record.login} is moved to the cluster ${request.to} by ${request.by}; log in again in a moment`;
      for (const listener of entry.goneListeners) listener(told);
      await halt(entry, new Fault("environment.gone", `Cannot go on with "${record.id}": it is being moved`, { told }));
      const at = clock.elapsed();
      await copyFiles(moving, request.report, signal);
      await context.store.end(record.id, fence, { cluster: request.to, power: "sleeping" });
      clusters.forget(record.id);
      return at;
    } catch (error) {
      await clusters
        .at(request.to)
        .destroy(record.id)
        .catch(() => undefined); // else the watch over unrecorded ones does it
      await context.store.end(record.id, fence, {});
      throw error;
    }
  });
  await startOpening(context, entry, { askedSince: clock.now() }).join(request.report, signal);
  const downMs = Math.round(clock.elapsed() - cutAt);
  const { id, cluster: from, login } = request.record;
  context.log.info("environment.moved", { environment: id, login, from, to: request.to, by: request.by, downMs });
  request.report(plainLine(`${login} is on the cluster ${request.to}; nobody could be in it for ${downMs} ms`));
  await clusters.at(from).destroy(id);
  return downMs;
}

interface Moving {
  readonly context: Context;
  readonly clusters: Clusters;
  readonly record: EnvironmentRecord;
  readonly to: string;
  readonly start: ReturnType<typeof startSpecOf>;
}

function startOf(context: Context, record: EnvironmentRecord): Moving["start"] {
  const { definition } = readDefinition(record.definition, record, "kubernetes");
  return startSpecOf(definition, envOf(context, record, definition));
}

/** Looks again, now that nobody else does anything with it. */
async function mustBeMovable(
  { store }: Context,
  clusters: Clusters,
  { record: { id, login }, to }: MigrateRequest,
): Promise<EnvironmentRecord> {
  const record = await store.find(id);
  if (record === undefined || record.desired === "absent") {
    const told = `there is no environment ${login}`;
    throw new Fault("environment.absent", `Cannot move "${id}": it is gone`, { told });
  }
  const known = await clusters.list();
  const wanted = known.filter(({ name }) => name === to);
  if (wanted.length === 0) {
    const told = `there is no cluster ${to}; there are: ${known.map(({ name }) => name).join(", ")}`;
    throw new Fault("usage.wrong", `Cannot move "${id}" to "${to}": no such cluster`, { told });
  }
  if (record.cluster === to) {
    throw new Fault("usage.wrong", `Cannot move "${id}" to "${to}": it is there`, {
      told: `${login} is on ${to} already`,
    });
  }
  const { podSecurity, placement = {} } = readDefinition(record.definition, record, "kubernetes").definition.container;
  const verdict = place({ person: record.person, podSecurity, wantedLabels: placement }, wanted);
  if (verdict.type === "placed") return record;
  throw new Fault(verdict.code, `Cannot move "${id}" to "${to}": ${verdict.told}`, { told: verdict.told });
}

/** Makes the environment there, and wakes it here if it sleeps: files are read through a pod. */
async function prepareThere(
  { context, clusters, record, to, start }: Moving,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const begunAt = context.clock.elapsed();
  const spec = specOf(context, record);
  const { run: _run, ...quiet } = start;
  const step = (): void => undefined;
  const there = clusters.at(to);
  const isAsleep = (await clusters.at(record.cluster).observe(record.id)).power !== "running";
  await Promise.all([
    isAsleep ? clusters.at(record.cluster).start(spec, quiet, step, signal) : undefined,
    there
      .create({ ...spec, cluster: to }, step, signal)
      .then(() => there.start({ ...spec, cluster: to }, quiet, step, signal)),
  ]);
  report(stepLine(`making it ready on ${to}`, context.clock.elapsed() - begunAt));
}

async function copyFiles(
  { context, clusters, record, to }: Moving,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const begunAt = context.clock.elapsed();
  const [from, there] = [clusters.at(record.cluster), clusters.at(to)];
  if (from.pack === undefined || there.unpack === undefined)
    throw new Error("Cannot move files: a runtime has no way to");
  await there.unpack(record.id, await from.pack(record.id, signal), signal);
  report(stepLine("copying its files", context.clock.elapsed() - begunAt));
}

function noClusters(to: string): Fault {
  return new Fault("usage.wrong", `Cannot move an environment to "${to}": the settings have no clusters`, {
    told: "there are no clusters here: environments run on one machine",
  });
}
