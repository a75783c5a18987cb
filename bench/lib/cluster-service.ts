/**
 * A whole Slipway on a cluster, for rows of the benchmark, and the end of everything that it made there.
 *
 * It is not closed as the services of tests are: a benchmark that was stopped half-way, or had a thousand environments made
 * up, has nobody to ask nicely. The service ends, and its namespaces go by the label that they all have.
 *
 * @module
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { LABELS } from "../../src/policy/kubernetes/labels.ts";
import type { ResolvedAccess } from "../../src/runtime/kubernetes/api/access.ts";
import type { ClusterApi } from "../../src/runtime/kubernetes/api/cluster-api.ts";
import { kinds } from "../../src/wire/kubernetes.ts";
import { openTestService, type TestService } from "../../test/harness/service.ts";
import { clusterSettings } from "../../test/kubernetes/open-cluster-service.ts";
import { inParallel } from "./in-parallel.ts";
import { FILE_COUNT } from "./open-bench.ts";
import { untilSo } from "./until-so.ts";

/** A cluster and how it is reached. */
export interface ClusterAccess {
  readonly kubeconfig: string;
  readonly access: ResolvedAccess;
  readonly api: ClusterApi;
  /** Whether it is there for the benchmark alone and goes with it. */
  readonly isOwn: boolean;
}

export interface ClusterServiceFacts {
  /** Of repository `many`, beside `main`. */
  readonly branches?: readonly string[];
  /** Members kept ready for `many`. @default no pool */
  readonly poolSize?: number;
}

export interface ClusterService extends AsyncDisposable {
  readonly service: TestService;
  /** Tells its objects on the cluster from those of others. */
  readonly installation: string;
  /** What names of its namespaces begin with; an id follows. */
  readonly namespacePrefix: string;
}

/** Namespaces are slow to go: the server looks through each for objects of every kind. */
const GONE_MS = 600_000;

/** Opens a service whose one repository is `many`. */
export async function openClusterService(
  access: ClusterAccess,
  { branches = [], poolSize }: ClusterServiceFacts,
): Promise<ClusterService> {
  // A node of two processors has room for dozens of them.
  const tiers = { lightweight: { cpus: 2, memory: "4GiB", request: 0.01 } };
  const one = clusterSettings({ kubeconfig: access.kubeconfig, cluster: { tiers } });
  const service = await openTestService({
    people: { ada: {} },
    // Nothing of the repository's own runs: it is Slipway that is measured.
    repositories: { many: { branches, fileCount: FILE_COUNT, definition: null } },
    limits: { sessionsPerPerson: 10_000, environmentsPerPerson: 100 },
    settings: {
      clusters: { one },
      ...(poolSize === undefined ? {} : { pools: { many: { repository: "many", size: poolSize } } }),
    },
    logLevel: "info",
  });
  const installation = readFileSync(join(service.stateFolder, "installation-id"), "utf8").trim();
  return {
    service,
    installation,
    namespacePrefix: one.namespacePrefix,
    [Symbol.asyncDispose]: async () => {
      if (service.isUp) await service.kill9();
      await clearCluster(access, installation);
      rmSync(service.folder, { recursive: true, force: true });
    },
  };
}

/** Has everything of an installation go, and waits until it is gone. */
async function clearCluster({ api, isOwn }: ClusterAccess, installation: string): Promise<void> {
  if (isOwn) return; // it goes as a whole
  const signal = AbortSignal.timeout(GONE_MS);
  const left = async (): Promise<string[]> => {
    const namespaces = await api.list(
      kinds.namespace,
      { labelSelector: `${LABELS.installation}=${installation}` },
      signal,
    );
    return namespaces.map(({ metadata }) => metadata.name);
  };
  const names = await left();
  if (names.length > 50) process.stderr.write(`  clearing ${names.length} namespaces …\n`);
  await inParallel(names, async (name) => {
    await api.remove({ of: kinds.namespace, name }, {}, signal);
  });
  await untilSo(`the end of ${names.length} namespaces`, async () => (await left()).length === 0, { waitMs: GONE_MS });
}
