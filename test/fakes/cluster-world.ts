/**
 * The world of `controller-world.ts` with two clusters in the stead of a machine: a runtime in memory for each, put together
 * as a service does it.
 *
 * @module
 */
import { makeLog } from "../../src/base/log.ts";
import type { Clusters } from "../../src/controller/clusters.ts";
import type { Context } from "../../src/controller/context.ts";
import type { Environments } from "../../src/controller/environments.ts";
import { makePlaces } from "../../src/runtime/places.ts";
import { makeWorld, type World } from "./controller-world.ts";
import { FakeRuntime } from "./fake-runtime.ts";

export interface ClusterWorld extends AsyncDisposable {
  readonly world: World;
  readonly runtimes: Readonly<Record<"east" | "west", FakeRuntime>>;
  /** Clusters that do not answer. */
  readonly away: Set<string>;
  /** Starts a service; one that was started before counts as killed. */
  serve(changes?: Partial<Context>): Environments;
}

/** Makes a world in which what ada and bob make goes to `east`, unless they have something of it on `west`. */
export async function makeClusterWorld(): Promise<ClusterWorld> {
  const world = await makeWorld();
  const runtimes = { east: new FakeRuntime(), west: new FakeRuntime() };
  const away = new Set<string>();
  const find = world.store.environments;
  const serve = (changes: Partial<Context> = {}): Environments => {
    const { clock } = world.context();
    const all = new Map(Object.entries(runtimes));
    const runtime = makePlaces(all, async (id) => (await find.find(id))?.cluster, { clock, log: makeLog("silent") });
    const plain = { labels: {}, capacity: 10, present: 0, people: "*", podSecurity: "restricted" } as const;
    const clusters: Clusters = {
      settings: [],
      readFile: async () => undefined,
      listFolder: async () => [],
      identifyManifests: async () => ({}),
      list: async () => Object.keys(runtimes).map((name) => ({ ...plain, name, isUp: !away.has(name) })),
      pools: { claim: async () => ({ type: "none" }), giveUp: async () => undefined, owns: async () => false },
      at: (name) => runtime.at(name),
      forget: (id) => runtime.forget(id),
    };
    return world.serve({ runtime, clusters, ...changes });
  };
  return {
    ...{ world, runtimes, away, serve },
    [Symbol.asyncDispose]: async () => {
      for (const runtime of Object.values(runtimes)) runtime.heal();
      await world[Symbol.asyncDispose]();
    },
  };
}
