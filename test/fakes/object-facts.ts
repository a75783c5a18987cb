/**
 * Facts from which objects of an environment are planned, for tests.
 *
 * @module
 */
import type { ObjectFacts, TargetFacts } from "../../src/policy/kubernetes/facts.ts";
import type { ClusterSettings } from "../../src/wire/cluster-settings.ts";
import type { KubernetesObject } from "../../src/wire/kubernetes.ts";

const GIB = 2 ** 30;
const tier = { cpuCount: 2, memoryBytes: 4 * GIB, requestShare: 0.1 };

/** Settings of a cluster that has volumes and allows nothing special. */
export function clusterSettings(changes: Partial<ClusterSettings> = {}): ClusterSettings {
  return {
    name: "one",
    access: { type: "in-cluster" },
    labels: {},
    capacity: 10,
    namespacePrefix: "slipway-",
    people: "*",
    images: {
      ...{ toolbox: "toolbox:1", base: "base:1", pullPolicy: "IfNotPresent" },
      ...{ pullSecrets: [], pullSecretsFrom: "slipway" },
    },
    workspace: { sizeBytes: 10 * GIB, isEphemeral: false, scratchBytes: 10 * GIB },
    podSecurity: "restricted",
    runAsUser: 1_000,
    tiers: { lightweight: tier, full: tier, compliance: tier },
    network: { publicEgress: true, allow: [], deny: [] },
    path: "auto",
    requestRate: { perSecond: 50, burst: 100 },
    ...changes,
  };
}

/** Facts of an environment of ada's. */
export function objectFacts(changes: Partial<ObjectFacts> = {}): ObjectFacts {
  return {
    installation: "inst1234",
    environment: "k3x9",
    generation: 7,
    owner: { person: "github:ada", login: "hello-main" },
    repository: "hello",
    branch: "feature/ä new one",
    cluster: clusterSettings(),
    podSecurity: "restricted",
    tier: "lightweight",
    ...changes,
  };
}

/** Facts of a target that asks for nothing special. */
export function targetFacts(changes: Partial<TargetFacts> = {}): TargetFacts {
  return {
    hostname: "hello-main",
    user: "dev",
    workspaceFolder: "/workspace/hello",
    containerEnv: {},
    serviceAccountToken: false,
    hostRequirements: {},
    ...changes,
  };
}

export const planKeys = {
  hostKey: "private\n",
  publicHostKey: "cHVibGlj",
  authorizedKeys: "ssh-ed25519 AAAA gateway\n",
};

/** A Deployment, or another workload with the same template. */
export function workload(
  name: string,
  spec: Readonly<Record<string, unknown>> = {},
  { kind = "Deployment", ...more }: { kind?: string; readonly [field: string]: unknown } = {},
): KubernetesObject {
  return {
    apiVersion: "apps/v1",
    kind,
    metadata: { name },
    spec: {
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name, image: `${name}:1` }], ...spec },
      },
      ...more,
    },
  };
}
