/**
 * Everywhere that Kubernetes differs between the versions we run on, 1.20 to current: one line for each, with the version
 * from which on it holds. Who needs to know asks `hasFeature`; nobody else compares versions.
 *
 * Feature gates that are on by default count; what an operator turned off shows as a refusal.
 * https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/ and
 * https://kubernetes.io/docs/reference/using-api/deprecation-guide/
 *
 * @module
 */
import { kinds, type ObjectKind } from "../../../wire/kubernetes.ts";
import type { Permission, ServerVersion } from "./cluster-api.ts";

/** Server-side apply, startup probes, bookmarks, v4 of the exec protocol: what all of it stands on. */
const OLDEST_MINOR = 20;

/** First minor version of Kubernetes 1 that has it. */
const since = {
  /** `batch/v1` CronJob and `policy/v1` PodDisruptionBudget; before, `v1beta1`, gone in 1.25. */
  stableCronJobs: 21,
  /** Every namespace has the label `kubernetes.io/metadata.name`; before, network policies cannot name one. */
  namespaceNameLabel: 21,
  /** `suspend` of Jobs, by default; before, nothing but `parallelism: 0` keeps one from having pods, and its deadline runs on. */
  suspendedJobs: 22,
  /** `endPort` in network policies. */
  networkPolicyPortRange: 22,
  /** The labels `pod-security.kubernetes.io/*` of a namespace are heeded. Before, nothing but our own plan keeps a pod in bounds. */
  podSecurityAdmission: 23,
  /** `grpc` probes. */
  grpcProbes: 24,
  /** Init containers with `restartPolicy: Always`. */
  nativeSidecars: 29,
  /** Version 5 of the exec protocol, with an end of input; before, and behind proxies, v4 is what is agreed on. */
  execInputEnd: 30,
  /** `appArmorProfile` in security contexts; before, an annotation. */
  appArmorField: 30,
  /** Volumes made of images, where the container runtime can. */
  imageVolumes: 35,
  /** Opening an exec by WebSocket needs the verb `create` beside `get` (`AuthorizePodWebsocketUpgradeCreatePermission`). */
  execNeedsCreate: 35,
} as const;

export type Feature = keyof typeof since;

/** Says whether a server has a feature. */
export function hasFeature(version: ServerVersion, feature: Feature): boolean {
  return version.major > 1 || version.minor >= since[feature];
}

/** Says whether we can work with a server at all. */
export function isSupported(version: ServerVersion): boolean {
  return version.major > 1 || (version.major === 1 && version.minor >= OLDEST_MINOR);
}

/** The kind that CronJobs are of on a server. */
export function cronJobKind(version: ServerVersion): ObjectKind {
  return hasFeature(version, "stableCronJobs") ? kinds.cronJob : { ...kinds.cronJob, apiVersion: "batch/v1beta1" };
}

/** Verbs that running a program in a pod needs. */
export function execPermissions(version: ServerVersion, namespace?: string): readonly Permission[] {
  const within = namespace === undefined ? {} : { namespace };
  const verbs = hasFeature(version, "execNeedsCreate") ? ["get", "create"] : ["get"];
  return verbs.map((verb) => ({ verb, group: "", resource: "pods", subresource: "exec", ...within }));
}

/** Reads `major` and `minor` of `/version`; clouds write `20+`. */
export function readVersionInfo(body: Readonly<Record<string, unknown>>): ServerVersion | undefined {
  const { major, minor, gitVersion } = body;
  if (typeof major !== "string" || typeof minor !== "string" || typeof gitVersion !== "string") return undefined;
  const numbers = { major: Number.parseInt(major, 10), minor: Number.parseInt(minor, 10) };
  if (!Number.isInteger(numbers.major) || !Number.isInteger(numbers.minor)) return undefined;
  return { ...numbers, text: gitVersion };
}
