/**
 * A whole Slipway whose environments are on the cluster of the tests.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { LABELS } from "../../src/policy/kubernetes/labels.ts";
import { kinds } from "../../src/wire/kubernetes.ts";
import { openTestService, type ServiceOptions, type TestService } from "../harness/service.ts";
import { kubeconfigPath, openApi } from "./use-cluster.ts";

export interface ClusterServiceOptions extends ServiceOptions {
  /** Image of environments whose definition names none. @default slipway/sample:test */
  readonly image?: string;
  /** File of the cluster. @default the one of the tests */
  readonly kubeconfig?: string;
  /** More of the cluster's settings, as in the file. */
  readonly cluster?: Readonly<Record<string, unknown>>;
}

/** As the settings file says it. Namespaces of one service begin with the same, so that what is left is found. */
export function clusterSettings(options: ClusterServiceOptions) {
  const { image = "slipway/sample:test", kubeconfig = kubeconfigPath(), cluster = {} } = options;
  return {
    kubeconfig,
    namespacePrefix: `t${randomBytes(3).toString("hex")}-`,
    images: { toolbox: "slipway/toolbox:test", base: image, pullPolicy: "Never" },
    workspace: { size: "1GiB" },
    requestRate: { perSecond: 100, burst: 200 },
    ...cluster,
  };
}

/**
 * Opens one. Disposing takes away what its pools have, and throws when a namespace of an environment is left.
 */
export async function openClusterService(options: ClusterServiceOptions = {}): Promise<TestService> {
  const one = clusterSettings(options);
  const service = await openTestService({ ...options, settings: { clusters: { one }, ...options.settings } });
  return {
    ...service,
    get pid() {
      return service.pid;
    },
    get isUp() {
      return service.isUp;
    },
    [Symbol.asyncDispose]: async () => {
      try {
        await service[Symbol.asyncDispose]();
      } finally {
        await clearNamespaces(one.namespacePrefix);
      }
    },
  };
}

async function clearNamespaces(prefix: string): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  await using api = await openApi();
  const all = await api.list(kinds.namespace, {}, signal);
  const ours = all.filter(({ metadata }) => metadata.name.startsWith(prefix));
  for (const { metadata } of ours) await api.remove({ of: kinds.namespace, name: metadata.name }, {}, signal);
  const left = ours.filter(
    ({ metadata }) => metadata.labels?.[LABELS.pool] === undefined && metadata.deletionTimestamp === undefined,
  );
  if (left.length > 0) {
    throw new Error(`Cannot call the cluster clean: left ${left.map(({ metadata }) => metadata.name).join(", ")}`);
  }
}
