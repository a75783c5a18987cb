/**
 * A cluster beside the one of the tests, for what is about several. Made by the first who needs it, and taken down at the end
 * of the run by `test/cluster/global-setup.ts`.
 *
 * @module
 */
import { inject } from "vitest";
import { ensureImages } from "../cluster/ensure-images.ts";
import { openCluster, type TestCluster } from "../cluster/open-cluster.ts";
import { breakableCluster } from "../cluster/shared-cluster.ts";
import type { ClusterApi } from "../../src/runtime/kubernetes/api/cluster-api.ts";
import { openTestService, type ServiceOptions, type TestService } from "../harness/service.ts";
import { clusterSettings } from "./open-cluster-service.ts";
import { openApi } from "./use-cluster.ts";

/** Why there can be none; `undefined` where the first is of our own making, too. */
export function whyNoSecond(): string | undefined {
  return breakableCluster() === undefined ? "these tests need two clusters that we make, and one is given" : undefined;
}

export interface TwoClusters {
  readonly service: TestService;
  readonly two: TestCluster;
  /** Clients of both, by the names that the settings have. */
  readonly apis: Readonly<Record<"one" | "two", ClusterApi>>;
  close(): Promise<void>;
}

/** Opens a service with both, `one` and `two`. @param settings more of each, as in the file */
export async function openTwoClusters(
  options: ServiceOptions,
  settings: Readonly<Record<"one" | "two", Readonly<Record<string, unknown>>>>,
): Promise<TwoClusters> {
  const two = await openSecond();
  const clusters = {
    one: clusterSettings({ cluster: settings.one }),
    two: clusterSettings({ cluster: settings.two, kubeconfig: two.kubeconfig }),
  };
  const service = await openTestService({ ...options, settings: { clusters, ...options.settings } });
  const apis = { one: await openApi(), two: await openApi(two.kubeconfig) };
  const close = async (): Promise<void> => {
    await two.start("apiserver");
    await two.untilReady();
    await service[Symbol.asyncDispose]();
    for (const api of Object.values(apis)) await api[Symbol.asyncDispose]();
  };
  return { service, two, apis, close };
}

/** The cluster itself. Its parts may be killed, and have to be started again by whoever did. */
export async function openSecond(): Promise<TestCluster> {
  const cluster = await openCluster({ name: inject("secondCluster"), keep: true });
  await ensureImages(cluster, ["toolbox", "sample"]);
  return cluster;
}
