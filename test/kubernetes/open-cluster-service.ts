/**
 * A whole Slipway whose environments are on the cluster of the tests.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { openTestService, type ServiceOptions, type TestService } from "../harness/service.ts";
import { kubeconfigPath } from "./use-cluster.ts";

export interface ClusterServiceOptions extends ServiceOptions {
  /** Image of environments whose definition names none. @default slipway/sample:test */
  readonly image?: string;
  /** More of the cluster's settings, as in the file. */
  readonly cluster?: Readonly<Record<string, unknown>>;
}

/** As the settings file says it. Namespaces of one service begin with the same, so that what is left is found. */
export function clusterSettings({ image = "slipway/sample:test", cluster = {} }: ClusterServiceOptions) {
  return {
    kubeconfig: kubeconfigPath(),
    namespacePrefix: `t${randomBytes(3).toString("hex")}-`,
    images: { toolbox: "slipway/toolbox:test", base: image, pullPolicy: "Never" },
    workspace: { size: "1GiB" },
    requestRate: { perSecond: 100, burst: 200 },
    ...cluster,
  };
}

/** Opens one. */
export async function openClusterService(options: ClusterServiceOptions = {}): Promise<TestService> {
  const clusters = { one: clusterSettings(options) };
  return openTestService({ ...options, settings: { clusters, ...options.settings } });
}
