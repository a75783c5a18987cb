/**
 * The clusters of the settings put together: a client and a runtime for each, all of them as one place, and their pools.
 *
 * Called by `service.ts`.
 *
 * @module
 */
import { dirname, resolve } from "node:path";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { BranchReader, Clusters } from "../controller/clusters.ts";
import { describeMember } from "../controller/members.ts";
import { makePools } from "../controller/pools/pools.ts";
import type { MemberPlace, MemberSpec, Pools } from "../controller/pools/ports.ts";
import type { Directory } from "../forge/directory.ts";
import type { Mirrors } from "../forge/mirrors.ts";
import { untilFirst } from "../base/until-first.ts";
import type { Path } from "../policy/kubernetes/path.ts";
import { place, type PlacementCluster } from "../policy/placement.ts";
import type { ClusterApi } from "../runtime/kubernetes/api/cluster-api.ts";
import { readOwnNamespace } from "../runtime/kubernetes/api/in-cluster.ts";
import { resolveAccess } from "../runtime/kubernetes/api/kubeconfig.ts";
import { openClusterApi } from "../runtime/kubernetes/api/open-cluster-api.ts";
import { identifyManifests } from "../runtime/kubernetes/manifests/identify-manifests.ts";
import type { Runs } from "../runtime/kubernetes/cluster.ts";
import { type KubernetesRuntime, openKubernetes } from "../runtime/kubernetes/open-kubernetes.ts";
import { listMirrorFolder, readMirrorFile } from "../runtime/kubernetes/sources.ts";
import { makePlaces, type Places } from "../runtime/places.ts";
import type { Limits } from "../runtime/runtime.ts";
import type { Store } from "../store/store.ts";
import type { ClusterSettings, PoolSettings } from "../wire/cluster-settings.ts";
import type { Definition } from "../wire/definition.ts";
import type { Settings } from "../wire/settings.ts";

export interface ClustersOptions {
  readonly settings: Settings;
  /** Path of the settings file: what is written in it is relative to its folder. */
  readonly settingsPath: string;
  /** Tells the services that share a cluster apart. */
  readonly installation: string;
  readonly runs: Runs;
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
  /** Has what members of its pools are made from read again. @param repository id of one whose branches changed */
  readonly onPushed: (repository: string) => Promise<void>;
  /** For metrics, of each cluster. */
  readonly figures: {
    /** Requests sent since the service began, by `verb resource`. */
    readonly requestCounts: () => ReadonlyMap<string, ReadonlyMap<string, number>>;
    /** Which way the next session goes into a pod. */
    readonly paths: () => ReadonlyMap<string, Path>;
  };
}

interface OpenCluster {
  readonly settings: ClusterSettings;
  readonly api: ClusterApi;
  readonly runtime: KubernetesRuntime;
  /** Whether it answers; keeps nobody waiting. */
  readonly isUp: () => Promise<boolean>;
}

/**
 * Opens them; none of them has to answer.
 *
 * @throws {Fault} `settings.invalid` when it is not known how to reach one
 */
export async function openClusters(options: ClustersOptions, limits: Limits): Promise<OpenClusters> {
  await using opened = new AsyncDisposableStack();
  const { settings, store, mirrors, clock, log } = options;
  const stop = new AbortController();
  const all = new Map<string, OpenCluster>();
  for (const cluster of settings.clusters) all.set(cluster.name, await openOne(options, cluster, opened, stop.signal));
  const list = (): Promise<PlacementCluster[]> => statesOf([...all.values()], store);
  const placeOf = async (id: string): Promise<string | undefined> =>
    (await store.environments.find(id))?.cluster ?? (await store.pools.find(id))?.cluster;
  const runtimes = new Map([...all].map(([name, { runtime }]) => [name, runtime]));
  const runtime = makePlaces(runtimes, placeOf, { clock, log });
  const reader = makeReader(settings.clusters, stop.signal);
  const members = membersOf(options, reader, limits);
  const pools = makePools({
    ...{ settings: settings.pools, store, runtime, clock, log },
    describe: (pool, signal) => describeMember(members, pool, signal),
    place: async (pool, needs) => placeMember(await list(), pool, needs),
    verify: async (id, signal) => {
      await all.get((await placeOf(id)) ?? "")?.runtime.verify(id, signal);
    },
    isBusy: () => options.isBusy(),
  });
  const claim: Clusters["pools"]["claim"] = ({ repository, ...wanted }, signal) =>
    pools.claim({ ...wanted, repository: pooledAs(options, repository) ?? repository }, signal);
  const keeping = pools.keep(stop.signal);
  opened.defer(() => keeping);
  opened.defer(() => {
    stop.abort();
  });
  const owned = opened.move();
  return {
    runtime,
    pools,
    onPushed: async (id) => {
      const name = pooledAs(options, id);
      if (name === undefined) return;
      await mirrors.refresh(id, 0, stop.signal);
      pools.look(name);
    },
    clusters: {
      ...reader,
      list,
      pools: { ...pools, claim },
      at: (name) => runtime.at(name),
      forget: (id) => runtime.forget(id),
    },
    figures: {
      requestCounts: () => new Map([...all].map(([name, { api }]) => [name, api.requestCounts()])),
      paths: () => new Map([...all].map(([name, { runtime }]) => [name, runtime.path()])),
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function makeReader(settings: BranchReader["settings"], signal: AbortSignal): BranchReader {
  return {
    settings,
    readFile: (mirrorPath, branch, path) => readMirrorFile(mirrorPath, `refs/heads/${branch}`, path),
    listFolder: (mirrorPath, branch, path) => listMirrorFolder(mirrorPath, `refs/heads/${branch}`, path),
    identifyManifests: (mirrorPath, branch, paths) =>
      identifyManifests({ mirrorPath, revision: `refs/heads/${branch}` }, paths, signal),
  };
}

function membersOf({ mirrors, directory, settings }: ClustersOptions, reader: BranchReader, limits: Limits) {
  return {
    ...{ mirrors, reader, limits },
    repositoryNamed: (name: string) => directory.repositoryNamed(name),
    requestsOf: (definition: Definition, cluster: string | undefined) =>
      requestsOf(settings.clusters, definition, cluster),
  };
}

/** What the settings of a pool call a repository: by its name, or by its owner and name. `undefined`: it has no pool. */
function pooledAs({ settings, directory }: ClustersOptions, id: string): string | undefined {
  const names = settings.pools.map(({ repository }) => repository);
  return names.find((name) => directory.repositoryNamed(name)?.id === id);
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
  const { gatewayKey, installation, runs } = options;
  const gateway = settings.access.type === "in-cluster" ? readOwnNamespace() : undefined;
  const runtime = openKubernetes(
    {
      ...{ api, settings, installation, runs, gatewayKey, clock, log },
      ...(gateway === undefined ? {} : { gateway }),
    },
    signal,
  );
  return { settings, api, runtime, isUp: makeIsUp(runtime, clock) };
}

/** How long somebody may be kept waiting by a cluster that has not answered since the start, and everybody after them. */
const [FIRST_ANSWER_MS, ANSWER_MS] = [1_000, 50];

/** Asks whether a cluster answers. One that ever did says so at once. */
function makeIsUp(runtime: KubernetesRuntime, clock: Clock): () => Promise<boolean> {
  let patienceMs = FIRST_ANSWER_MS;
  return async () => {
    let isSo = false;
    const answer = async (): Promise<void> => {
      isSo = await runtime.isUp();
    };
    await untilFirst({ answer, late: (signal) => clock.sleep(patienceMs, signal) });
    patienceMs = ANSWER_MS;
    return isSo;
  };
}

async function statesOf(all: readonly OpenCluster[], store: Store): Promise<PlacementCluster[]> {
  const counts = await store.environments.countByCluster();
  const members = (await store.pools.list()).filter(({ state }) => state !== "claimed");
  return Promise.all(
    all.map(async ({ settings, isUp }) => {
      const { name, labels, capacity, people, podSecurity } = settings;
      return {
        name,
        labels,
        capacity,
        people,
        podSecurity,
        present: counts.get(name) ?? 0,
        pooled: members.filter(({ cluster }) => cluster === name).length,
        isUp: await isUp(),
      };
    }),
  );
}

/**
 * Chooses the cluster for a member, who is nobody's yet: that of its pool, if it says one.
 *
 * @throws {Fault} `cluster.full`, `cluster.unreached` or `environment.unplaced`, told with why
 */
function placeMember(
  clusters: readonly PlacementCluster[],
  { name, cluster }: PoolSettings,
  needs: MemberSpec["needs"],
): MemberPlace {
  const meant = clusters.filter((one) => cluster === undefined || one.name === cluster);
  const chosen = place(
    { person: "", ...needs },
    meant.map((one) => ({ ...one, people: "*" as const })),
  );
  if (chosen.type === "placed") {
    const capacity = meant.find((one) => one.name === chosen.cluster)?.capacity ?? 0;
    return { cluster: chosen.cluster, capacity };
  }
  const { code, told } = chosen;
  throw new Fault(code, `Cannot place a member of pool "${name}": ${told}`, { told });
}

function requestsOf(
  clusters: readonly ClusterSettings[],
  { container: { tier } }: Definition,
  cluster: string | undefined,
): MemberSpec["requests"] {
  const { tiers } = clusters.find(({ name }) => name === cluster) ?? clusters[0] ?? {};
  if (tiers === undefined) return { cpuCount: 0, memoryBytes: 0 };
  const { cpuCount, memoryBytes, requestShare } = tiers[tier];
  return { cpuCount: cpuCount * requestShare, memoryBytes: memoryBytes * requestShare };
}
