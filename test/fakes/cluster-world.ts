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
  /** Environments that each cluster takes. @default 10 */
  capacity: number;
  /** Members that a pool has ready on `east`, by id; they have `main` in them. */
  readonly members: string[];
  /** Starts a service; one that was started before counts as killed. */
  serve(changes?: Partial<Context>): Environments;
}

/** Makes a world in which what is made goes to where its person has something of it, else to where more is free, else to `east`. */
export async function makeClusterWorld(): Promise<ClusterWorld> {
  const world = await makeWorld();
  const runtimes = { east: new FakeRuntime(), west: new FakeRuntime() };
  const away = new Set<string>();
  const find = world.store.environments;
  const serve = (changes: Partial<Context> = {}): Environments => {
    const { clock } = world.context();
    const all = new Map(Object.entries(runtimes));
    const runtime = makePlaces(all, async (id) => (await find.find(id))?.cluster, { clock, log: makeLog("silent") });
    const plain = { labels: {}, people: "*", podSecurity: "restricted" } as const;
    const list: Clusters["list"] = async () => {
      const counts = await find.countByCluster();
      const { capacity } = clusterWorld;
      const one = (name: string) => ({
        ...plain,
        name,
        capacity,
        present: counts.get(name) ?? 0,
        isUp: !away.has(name),
      });
      return Object.keys(runtimes).map(one);
    };
    const clusters: Clusters = {
      settings: [],
      readFile: async () => undefined,
      listFolder: async () => [],
      identifyManifests: async () => ({}),
      list,
      pools: {
        claim: async () => {
          const id = clusterWorld.members.shift();
          return id === undefined ? { type: "none" } : { type: "warm", id, cluster: "east", pool: "hello" };
        },
        giveUp: async () => undefined,
        owns: async () => false,
      },
      at: (name) => runtime.at(name),
      forget: (id) => runtime.forget(id),
    };
    return world.serve({ runtime, clusters, ...changes });
  };
  const clusterWorld: ClusterWorld = {
    ...{ world, runtimes, away, capacity: 10, members: [], serve },
    [Symbol.asyncDispose]: async () => {
      for (const runtime of Object.values(runtimes)) runtime.heal();
      await world[Symbol.asyncDispose]();
    },
  };
  return clusterWorld;
}
