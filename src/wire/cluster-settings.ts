/**
 * Settings of the clusters that run environments, as the rest of Slipway gets them.
 *
 * @module
 */

/** How a cluster is reached. Paths are as written, relative to the settings file. */
export type ClusterAccess =
  | { readonly type: "kubeconfig"; readonly path: string; readonly context?: string }
  /** By the service account of the pod that we run in. */
  | { readonly type: "in-cluster" };

/** Strictness of pods: https://kubernetes.io/docs/concepts/security/pod-security-standards/ */
export type PodSecurity = "restricted" | "baseline";

/** What the pods of one environment may use at most, and ask for. */
export interface PodResources {
  /** In processors. */
  readonly cpuCount: number;
  readonly memoryBytes: number;
  /** Asked for, of the above: 0.1 is a tenth. */
  readonly requestShare: number;
}

export interface ClusterSettings {
  readonly name: string;
  readonly access: ClusterAccess;
  /** For placement. */
  readonly labels: Readonly<Record<string, string>>;
  /** Environments at one time, pool members included. */
  readonly capacity: number;
  /** Namespaces are called this and an id; ends with "-". */
  readonly namespacePrefix: string;
  /** Ids of people who may be placed here, as in grants. */
  readonly people: "*" | readonly string[];
  readonly images: {
    /** Where sshd, git and their like come from. */
    readonly toolbox: string;
    /** For definitions that name none. */
    readonly base: string;
    readonly pullPolicy: "Always" | "IfNotPresent" | "Never";
    /** Names of secrets for private registries, to be copied to each environment. */
    readonly pullSecrets: readonly string[];
    /** Namespace that they are in. */
    readonly pullSecretsFrom: string;
  };
  readonly workspace: {
    readonly sizeBytes: number;
    /** The cluster's default when absent. */
    readonly storageClass?: string;
    /** Files of environments are lost when they sleep: for clusters without volumes. */
    readonly isEphemeral: boolean;
    /** What one container may write to the disk of its node beside volumes: its own layer, folders like /tmp, its log. */
    readonly scratchBytes: number;
  };
  /** What definitions may ask for. */
  readonly podSecurity: PodSecurity;
  /** User number inside, for images that do not say theirs. */
  readonly runAsUser: number;
  /** Ceilings of one environment by tier. */
  readonly tiers: Readonly<Record<"lightweight" | "full" | "compliance", PodResources>>;
  readonly network: {
    /** Whether environments reach the internet. */
    readonly publicEgress: boolean;
    /** Ranges inside of the cluster's network that environments may reach nevertheless. */
    readonly allow: readonly string[];
    /** Ranges they may not reach beside the private and link-local ones. */
    readonly deny: readonly string[];
  };
  /** How sessions reach pods: through the API server, by their addresses, or as measured. */
  readonly path: "auto" | "exec" | "podIP";
  /** Requests to the API server a second, and how many at once after a rest. */
  readonly requestRate: { readonly perSecond: number; readonly burst: number };
}

/** Environments kept ready for a repository. */
export interface PoolSettings {
  readonly name: string;
  /** Name of the repository as in logins. */
  readonly repository: string;
  /** Where they are kept; any that can take the repository when absent. */
  readonly cluster?: string;
  /** Members kept ready. */
  readonly size: number;
  /** Other sizes at certain times; the first that fits counts. Empty: always `size`. */
  readonly schedule: readonly PoolHours[];
}

export interface PoolHours {
  /** 0 is Sunday. */
  readonly days: readonly number[];
  /** Minutes since midnight in `timeZone`; `until` is not part of it, and a smaller one is on the next day. */
  readonly fromMinute: number;
  readonly untilMinute: number;
  /** IANA name. */
  readonly timeZone: string;
  readonly size: number;
}
