/**
 * Several places that run environments as one `Runtime`: what is asked of an environment goes to the place that it is on.
 *
 * Put together by `src/cmd`; the controller is handed it as its runtime. A place that fails or hangs never disturbs the
 * others: its own calls are the only ones that wait for it, and those that sweeps over all environments make are given an end.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Runtime } from "./runtime.ts";

export interface Places extends Runtime {
  /** @param cluster where; without it where everything is while there is one place, else the first */
  baseEnv(user: string, workspaceFolder: string, cluster?: string): Readonly<Record<string, string>>;
  /** The place itself, for what is about two places at once, as a move. @throws {Fault} `runtime.unable` when it is not there */
  at(cluster: string): Runtime;
  /** Has to be called when the record of an environment says another cluster than before. */
  forget(id: string): void;
}

/** Says on which cluster an environment is, or a member of a pool; `undefined` when nothing is recorded of it. */
export type PlaceOf = (id: string) => Promise<string | undefined>;

export interface PlacesOptions {
  readonly clock: Clock;
  readonly log: Log;
}

/** Environments whose place is remembered; the store knows that of the others within a millisecond. */
const REMEMBERED = 1_000;

/** A place that has not said in this time how an environment is, or which it has, is away (guess: ten times a slow answer). */
const ANSWER_MS = 10_000;

/** One that did not answer is not asked again for so long, and its calls fail at once (guess). */
const QUIET_MS = 5_000;

/**
 * Puts places together.
 *
 * @param runtimes by the names that records and settings have for them
 */
export function makePlaces(runtimes: ReadonlyMap<string, Runtime>, placeOf: PlaceOf, options: PlacesOptions): Places {
  const { at, of, by, forget, list } = makeRoutes(runtimes, placeOf, options);
  return {
    get lacks() {
      // Of one place among several, nobody could tell whether it is theirs.
      const [only, another] = runtimes.values();
      return another === undefined ? (only?.lacks ?? []) : [];
    },
    baseEnv: (user, workspaceFolder, cluster) => {
      const [first = ""] = runtimes.keys();
      return at(cluster ?? first).runtime.baseEnv(user, workspaceFolder);
    },
    at: (cluster) => at(cluster).runtime,
    forget,
    create: async (spec, report, signal) => by(spec).create(spec, report, signal),
    start: async (spec, start, report, signal) => by(spec).start(spec, start, report, signal),
    claim: async (spec, start, report, signal) => {
      const runtime = by(spec);
      if (runtime.claim !== undefined) return runtime.claim(spec, start, report, signal);
      throw new Fault("runtime.unable", `Cannot claim "${spec.id}": ${spec.cluster} has no pools`);
    },
    readSource: async (id, path) => (await of(id)).runtime.readSource(id, path),
    listSource: async (id, path) => (await of(id)).runtime.listSource(id, path),
    run: async (id, command, env, signal) => (await of(id)).runtime.run(id, command, env, signal),
    connect: async (id, session, signal) => (await of(id)).runtime.connect(id, session, signal),
    listen: async (id, onCall) => (await of(id)).runtime.listen(id, onCall),
    observe: async (id) => {
      const { within, runtime } = await of(id);
      return within(`observe ${id}`, () => runtime.observe(id));
    },
    unsaved: async (id) => (await of(id)).runtime.unsaved(id),
    note: async (id, line) => (await of(id)).runtime.note(id, line),
    readLog: async (id, maxBytes) => (await of(id)).runtime.readLog(id, maxBytes),
    sleep: async (id) => (await of(id)).runtime.sleep(id),
    destroy: async (id, generation) => {
      await (await of(id)).runtime.destroy(id, generation);
      forget(id);
    },
    list,
  };
}

interface Place {
  readonly name: string;
  readonly runtime: Runtime;
  /** Asks it something that has to be answered in a while. */
  readonly within: <T>(act: string, ask: () => Promise<T>) => Promise<T>;
}

/** Finds the place for each call. */
function makeRoutes(runtimes: ReadonlyMap<string, Runtime>, placeOf: PlaceOf, options: PlacesOptions) {
  const places = new Map<string, Place>();
  for (const [name, runtime] of runtimes) places.set(name, { name, runtime, within: makePatience(name, options) });
  const known = makeMemory();
  /** What each listed last: where things are that nobody recorded. */
  const listed = new Map<string, ReadonlySet<string>>();
  const listerOf = (id: string): string | undefined => [...listed].find(([, ids]) => ids.has(id))?.[0];
  const at = (cluster: string): Place => places.get(cluster) ?? refuse(cluster);
  return {
    at,
    of: async (id: string): Promise<Place> => {
      const remembered = known.get(id);
      if (remembered !== undefined) return at(remembered);
      const recorded = await placeOf(id);
      if (recorded !== undefined) known.set(id, recorded);
      return at(recorded ?? listerOf(id) ?? onlyOf(runtimes, id));
    },
    /** For calls on behalf of a specification, which says where; whoever asks for the environment next is sent there. */
    by: ({ id, cluster }: { readonly id: string; readonly cluster: string }): Runtime => {
      const { runtime } = at(cluster);
      known.set(id, cluster);
      return runtime;
    },
    forget: (id: string): void => known.delete(id),
    list: async (): Promise<string[]> => {
      const lists = [...places.values()].map(async ({ name, runtime, within }) => {
        try {
          const ids = await within("list", () => runtime.list());
          listed.set(name, new Set(ids));
          return ids;
        } catch (error) {
          options.log.warn("cluster.away", { cluster: name, err: error });
          return [];
        }
      });
      return [...new Set((await Promise.all(lists)).flat())];
    },
  };
}

function refuse(cluster: string): never {
  throw new Fault("runtime.unable", `Cannot reach cluster "${cluster}": the settings have none of that name`, {
    told: `this environment is on the cluster ${cluster}, which is not under "clusters" in the settings any more: an administrator has to put it back`,
  });
}

function onlyOf(runtimes: ReadonlyMap<string, Runtime>, id: string): string {
  const [only, another] = runtimes.keys();
  if (only !== undefined && another === undefined) return only;
  throw new Fault("environment.absent", `Cannot tell on which cluster "${id}" is: it has no record, and none lists it`);
}

interface Memory {
  get(id: string): string | undefined;
  set(id: string, cluster: string): void;
  delete(id: string): void;
}

/** The places of those environments that were asked for last. */
function makeMemory(): Memory {
  const clusters = new Map<string, string>();
  return {
    get: (id) => clusters.get(id),
    set: (id, cluster) => {
      clusters.delete(id);
      clusters.set(id, cluster);
      const [oldest] = clusters.keys();
      if (clusters.size > REMEMBERED && oldest !== undefined) clusters.delete(oldest);
    },
    delete: (id) => void clusters.delete(id),
  };
}

/**
 * Waits for a place no longer than it may take; after that, for a while, not at all: a sweep over its environments would
 * else wait for each, and keep those of other places waiting.
 */
function makePatience(name: string, { clock }: PlacesOptions): Place["within"] {
  let quietUntil = 0;
  const away = (act: string): Fault =>
    new Fault(
      "cluster.unreached",
      `Cannot ${act} on cluster "${name}": it does not answer, needs to within ${ANSWER_MS} ms`,
      {
        told: `the cluster ${name} does not answer`,
      },
    );
  return async <T>(act: string, ask: () => Promise<T>): Promise<T> => {
    if (clock.elapsed() < quietUntil) throw away(act);
    const late = Promise.withResolvers<never>();
    const cancel = clock.after(ANSWER_MS, () => late.reject(away(act)));
    try {
      const answer = ask();
      answer.catch(() => undefined); // after the limit nobody waits for it
      return await Promise.race([answer, late.promise]);
    } catch (error) {
      // Some say so by themselves before they are late.
      if (error instanceof Fault && error.code === "cluster.unreached") quietUntil = clock.elapsed() + QUIET_MS;
      throw error;
    } finally {
      cancel();
    }
  };
}
