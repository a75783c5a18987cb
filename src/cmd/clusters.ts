/**
 * The clusters of the settings put together: a client and a runtime for each, all of them as one place, and their pools.
 *
 * Called by `service.ts`.
 *
 * @module
 */
import { dirname, resolve } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { describeMember } from "../controller/members.ts";
import type { Clusters } from "../controller/placing.ts";
import { makePools } from "../controller/pools/pools.ts";
import type { Pools } from "../controller/pools/ports.ts";
import type { Directory } from "../forge/directory.ts";
import type { Mirrors } from "../forge/mirrors.ts";
import { place, type PlacementCluster } from "../policy/placement.ts";
import type { ClusterApi } from "../runtime/kubernetes/api/cluster-api.ts";
import { resolveAccess } from "../runtime/kubernetes/api/kubeconfig.ts";
import { openClusterApi } from "../runtime/kubernetes/api/open-cluster-api.ts";
import { type KubernetesRuntime, openKubernetes } from "../runtime/kubernetes/open-kubernetes.ts";
import { readMirrorFile } from "../runtime/kubernetes/sources.ts";
import { makePlaces, type Places } from "../runtime/places.ts";
import type { Limits } from "../runtime/runtime.ts";
import type { Store } from "../store/store.ts";
import type { ClusterSettings } from "../wire/cluster-settings.ts";
import type { Settings } from "../wire/settings.ts";

export interface ClustersOptions {
  readonly settings: Settings;
  /** Path of the settings file: what is written in it is relative to its folder. */
  readonly settingsPath: string;
  /** Tells the services that share a cluster apart. */
  readonly installation: string;
  readonly gatewayKey: string;
  readonly store: Store;
  readonly mirrors: Mirrors;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether somebody waits for an environment: members of pools are made later then. */
  isBusy(): boolean;
}

export interface OpenClusters extends AsyncDisposable {
  /** All of them as one. */
  readonly runtime: Places;
  readonly clusters: Clusters;
  readonly pools: Pools;
}

interface OpenCluster {
  readonly settings: ClusterSettings;
  readonly api: ClusterApi;
  readonly runtime: KubernetesRuntime;
}

/**
 * Opens them; none of them has to answer.
 *
 * @throws {Fault} `settings.invalid` when it is not known how to reach one
 */
export async function openClusters(options: ClustersOptions, limits: Limits): Promise<OpenClusters> {
  await using opened = new AsyncDisposableStack();
  const { settings, store, directory, mirrors, clock, log } = options;
  const stop = new AbortController();
  const all = new Map<string, OpenCluster>();
  for (const cluster of settings.clusters) all.set(cluster.name, await openOne(options, cluster, opened, stop.signal));
  const list = (): Promise<PlacementCluster[]> => statesOf([...all.values()], store);
  const placeOf = async (id: string): Promise<string | undefined> =>
    (await store.environments.find(id))?.cluster ?? (await store.pools.find(id))?.cluster;
  const runtimes = new Map([...all].map(([name, { runtime }]) => [name, runtime]));
  const runtime = makePlaces(runtimes, placeOf, { clock, log });
  const readFile: Clusters["readFile"] = (mirrorPath, branch, path) =>
    readMirrorFile(mirrorPath, `refs/heads/${branch}`, path);
  const described = {
    ...{ mirrors, directory, runtime, readFile },
    limits: { perPerson: 0, environment: limits, firstUid: 0, uidCount: 0 },
    repositoryNamed: (name: string) => directory.repositoryNamed(name),
    requestsOf: (_: unknown, cluster: string | undefined) => requestsOf(all, cluster),
  };
  const pools = makePools({
    ...{ settings: settings.pools, store, runtime, clock, log },
    describe: (pool, signal) => describeMember(described, pool, signal),
    place: async (pool) => placeMember(await list(), pool.name),
    verify: async (id, signal) => {
      await all.get((await placeOf(id)) ?? "")?.runtime.verify(id, signal);
    },
    isBusy: options.isBusy,
  });
  const keeping = pools.keep(stop.signal);
  opened.defer(() => keeping);
  opened.defer(() => {
    stop.abort();
  });
  const owned = opened.move();
  return {
    runtime,
    pools,
    clusters: { list, readFile, pools, at: runtime.at, forget: runtime.forget },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function openOne(
  options: ClustersOptions,
  settings: ClusterSettings,
  opened: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<OpenCluster> {
  const { clock, log, env, settingsPath } = options;
  const { name, requestRate } = settings;
  const access = await resolveAccess(settings.access, { folder: dirname(resolve(settingsPath)), env });
  const api = opened.use(await openClusterApi({ name, access, requestRate, clock, log }));
  const { gatewayKey, installation } = options;
  return { settings, api, runtime: openKubernetes({ api, settings, installation, gatewayKey, clock, log }, signal) };
}

async function statesOf(all: readonly OpenCluster[], store: Store): Promise<PlacementCluster[]> {
  const counts = await store.environments.countByCluster();
  return Promise.all(
    all.map(async ({ settings, runtime }) => {
      const { name, labels, capacity, people, podSecurity } = settings;
      return {
        name,
        labels,
        capacity,
        people,
        podSecurity,
        present: counts.get(name) ?? 0,
        isUp: await runtime.isUp(),
      };
    }),
  );
}

/** A member asks for nothing that a cluster might not have, and is nobody's. */
function placeMember(clusters: readonly PlacementCluster[], pool: string): string {
  const open = clusters.map((cluster) => ({ ...cluster, people: "*" as const }));
  const chosen = place({ person: "", wantedLabels: {}, podSecurity: "restricted" }, open);
  if (chosen.type === "placed") return chosen.cluster;
  throw new Error(`Cannot place a member of pool "${pool}": ${chosen.told}`);
}

function requestsOf(
  all: ReadonlyMap<string, OpenCluster>,
  cluster: string | undefined,
): { cpuCount: number; memoryBytes: number } {
  const { settings } = all.get(cluster ?? "") ?? [...all.values()][0] ?? {};
  const tier = settings?.tiers.lightweight;
  if (tier === undefined) return { cpuCount: 0, memoryBytes: 0 };
  return { cpuCount: tier.cpuCount * tier.requestShare, memoryBytes: tier.memoryBytes * tier.requestShare };
}
