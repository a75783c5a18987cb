/**
 * From what the objects of an environment are made: the contract between `runtime/kubernetes/` and the pure functions
 * of this folder.
 *
 * @module
 */
import type { ClusterSettings } from "../../wire/cluster-settings.ts";
import type { KubernetesObject } from "../../wire/kubernetes.ts";

/** Whose objects these are, and of which operation. */
export interface ObjectFacts {
  /** Tells the services that share a cluster apart: `[a-z0-9]{4,32}`. */
  readonly installation: string;
  readonly environment: string;
  readonly generation: number;
  readonly owner: { readonly person: string; readonly login: string } | { readonly pool: string };
  readonly repository: string;
  readonly branch: string;
  readonly cluster: ClusterSettings;
  /** Namespace that Slipway itself runs in, in the same cluster; absent when it runs elsewhere. */
  readonly gateway?: string;
  readonly podSecurity: "restricted" | "baseline";
  readonly tier: "lightweight" | "full" | "compliance";
}

/** What the target container is to be beside what its manifest says. */
export interface TargetFacts {
  /** RFC 1123 label. */
  readonly hostname: string;
  readonly user: string;
  readonly workspaceFolder: string;
  readonly containerEnv: Readonly<Record<string, string>>;
  readonly runAsUser?: number;
  readonly serviceAccountToken: boolean;
  readonly hostRequirements: {
    readonly cpuCount?: number;
    readonly memoryBytes?: number;
    readonly storageBytes?: number;
  };
}

/** Everything to be applied for one environment, in the order in which it has to be there. */
export interface Plan {
  readonly namespace: KubernetesObject;
  /** Before any pod: policies, quota, limit range, service account, volume claim. */
  readonly base: readonly KubernetesObject[];
  /** The target's workload and, with manifests, everything beside it. */
  readonly workloads: readonly KubernetesObject[];
  /** Labels by which the pod of the target is found among others of the namespace, and its container. */
  readonly target: { readonly labels: Readonly<Record<string, string>>; readonly container: string };
  /** Names by which the services of the manifests are reached from inside; what may be forwarded to. */
  readonly serviceNames: readonly string[];
  /** Names of the volume claims of the manifests, those included that stateful sets make. */
  readonly claims: readonly string[];
  /** What was asked for and is not so, one sentence each. */
  readonly warnings: readonly string[];
}
