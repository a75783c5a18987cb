/**
 * The part of `slip check --online` about clusters: each is reached, every permission tried, and the role that is missing
 * written so that it can be applied as it is.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import { writeYaml } from "../base/write-yaml.ts";
import { shortHash } from "../policy/short-hash.ts";
import type { Permission } from "../runtime/kubernetes/api/cluster-api.ts";
import { type ClusterFinding, inspectCluster, type InspectedApi } from "../runtime/kubernetes/inspecting.ts";
import type { ClusterSettings } from "../wire/cluster-settings.ts";
import { rolesOf, type Subject } from "./install/rules.ts";

export interface ClusterCheck {
  readonly cluster: string;
  readonly findings: readonly ClusterFinding[];
  /** Objects to apply, as YAML, where permissions are missing. */
  readonly missingRole?: string;
}

export interface CheckClustersOptions {
  /** Opens a client; it is closed after the check. */
  readonly open: (settings: ClusterSettings) => Promise<InspectedApi & AsyncDisposable>;
  readonly needed: readonly Permission[];
}

/** As long as a person waits for one cluster (guess). */
const CHECK_MS_MAX = 30_000;

/** Checks all of them at the same time. Never rejects for what is wrong with a cluster. */
export async function checkClusters(
  clusters: readonly ClusterSettings[],
  options: CheckClustersOptions,
): Promise<ClusterCheck[]> {
  return Promise.all(clusters.map((cluster) => checkCluster(cluster, options)));
}

async function checkCluster(settings: ClusterSettings, { open, needed }: CheckClustersOptions): Promise<ClusterCheck> {
  const cluster = settings.name;
  try {
    await using api = await open(settings);
    const { findings, lacking, user } = await inspectCluster(
      api,
      { settings, needed },
      AbortSignal.timeout(CHECK_MS_MAX),
    );
    return { cluster, findings, ...(lacking.length === 0 ? {} : { missingRole: roleFor(cluster, lacking, user) }) };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { cluster, findings: error.message.split("\n").map((text) => ({ isGood: false, text })) };
  }
}

/** To be seen, and mended, where the cluster did not tell who we are. */
const UNKNOWN: Subject = { kind: "User", name: "whoever-slipway-is" };

function roleFor(cluster: string, lacking: readonly Permission[], user: string | undefined): string {
  const subject = user === undefined ? UNKNOWN : subjectOf(user);
  // By what is in it: another one, applied later, must not take away what this one gave.
  const name = `slipway:missing-${shortHash(JSON.stringify([lacking, subject]))}`;
  return `# What is missing on cluster ${cluster}, for kubectl apply -f:\n${writeYaml(rolesOf(lacking, { name, subject }))}`;
}

/** https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens */
function subjectOf(user: string): Subject {
  const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user) ?? [];
  if (namespace === undefined || name === undefined) return { kind: "User", name: user };
  return { kind: "ServiceAccount", name, namespace };
}
