/**
 * Plans everything that an environment is in a cluster. Pure and whole: the same facts give the same objects, so that
 * applying a plan again changes nothing.
 *
 * Called by `runtime/kubernetes/` before each start. Rendering manifests, making keys and applying is the caller's.
 *
 * @module
 */
import type { KubernetesObject } from "../../wire/kubernetes.ts";
import { type Keys, planBase } from "./base-objects.ts";
import type { ManifestComplaint } from "./complaint.ts";
import type { ObjectFacts, Plan, TargetFacts } from "./facts.ts";
import { planImagePod } from "./image-pod.ts";
import { MAIN, NAMES } from "./inside-names.ts";
import { LABELS } from "./labels.ts";
import { levelOf, planNamespace } from "./namespace.ts";
import { planManifests, type PlannedManifests } from "./plan-manifests.ts";
import { writeBytes } from "./quantity.ts";
import { needsOf, shareSizes } from "./sizes.ts";

/** What an environment is made of beside the facts. */
export interface PlanInput {
  /** Of the one pod, when there are no manifests; the cluster's own when absent. */
  readonly image?: string;
  /** Rendered. */
  readonly manifests?: readonly KubernetesObject[];
  /** `deployment/api`, or `deployment/api/container`. */
  readonly targetName?: string;
  readonly keys: Keys;
  /** Names of the volume claims that it had before: those are kept, with what is in them. @default none */
  readonly claimsBefore?: readonly string[];
}

/** A plan, or everything that is wrong with what was asked for. */
export type Planned = Plan | { readonly complaints: readonly ManifestComplaint[] };

/** Complaints told at once; whoever has more mends some first. */
const COMPLAINTS_MAX = 100;

/** Plans an environment. Never throws. */
export function planEnvironment(facts: ObjectFacts, target: TargetFacts, input: PlanInput): Planned {
  const level = levelOf(facts);
  const { manifests, targetName } = input;
  const parts =
    manifests === undefined
      ? planImage(facts, target, input.image ?? facts.cluster.images.base)
      : planManifests(facts, target, { manifests, targetName, level });
  const claims = withKept(facts, parts.claims, input.claimsBefore ?? []);
  const complaints = [...parts.complaints, ...claims.complaints];
  if (complaints.length > 0) return { complaints: complaints.slice(0, COMPLAINTS_MAX) };
  return {
    namespace: planNamespace(facts),
    base: planBase(facts, input.keys, { ...parts.quota, claimCount: claims.count }),
    workloads: parts.workloads,
    target: { labels: { [LABELS.target]: "true" }, container: parts.container },
    serviceNames: parts.serviceNames,
    claims: parts.claims.names,
    warnings: [...new Set([...warningsOf(facts, target, parts), ...parts.warnings])],
  };
}

function planImage(facts: ObjectFacts, target: TargetFacts, image: string): PlannedManifests {
  const sizes = shareSizes(facts, [{ pods: 1, isTarget: true, cpuCount: undefined, memoryBytes: undefined }]);
  const { pod, complaints } = planImagePod(facts, target, { image, level: levelOf(facts), sizes });
  return {
    workloads: [pod],
    container: MAIN,
    serviceNames: [],
    quota: { sizes, podCount: 1, largestPod: sizes.ceiling },
    claims: { names: [], fleetingCount: 0 },
    warnings: [],
    // All containers of it run as the same user: one complaint says it.
    complaints: complaints
      .slice(0, 1)
      .map(({ message }) => ({ path: ["customizations", "slipway", "runAsUser"], message })),
  };
}

/** More kept claims than those of one definition, a few times changed, are not to be had (guess). */
const CLAIMS_MAX = 30;

/** Counts all claims that there will be, since each takes its place in the quota. */
function withKept(
  { cluster }: ObjectFacts,
  { names, fleetingCount }: PlannedManifests["claims"],
  before: readonly string[],
): { readonly count: number; readonly complaints: readonly ManifestComplaint[] } {
  const planned = new Set([...names, ...(cluster.workspace.isEphemeral ? [] : [NAMES.filesClaim])]);
  const keptCount = before.filter((name) => !planned.has(name)).length;
  // Those of a pod that is replaced are still there when the next one has its own.
  const count = planned.size + keptCount + 2 * fleetingCount;
  const total = planned.size + keptCount + fleetingCount;
  if (keptCount === 0 || total <= CLAIMS_MAX) return { count, complaints: [] };
  const message =
    `there would be ${total} volume claims, ${keptCount} of them kept from before, needs at most ${CLAIMS_MAX}: ` +
    "name volumes as they were named before, or make the environment anew";
  return { count, complaints: [{ path: [], message }] };
}

function warningsOf(facts: ObjectFacts, target: TargetFacts, { quota }: Pick<PlannedManifests, "quota">): string[] {
  const { cluster, podSecurity } = facts;
  const { storageBytes } = target.hostRequirements;
  const { sizeBytes } = cluster.workspace;
  return [
    ...(podSecurity === levelOf(facts)
      ? []
      : [`podSecurity is restricted here, not ${podSecurity}: the cluster ${cluster.name} allows no less`]),
    ...needsOf(target, quota.sizes).warnings,
    ...(storageBytes !== undefined && storageBytes > sizeBytes
      ? [`hostRequirements.storage is ${writeBytes(storageBytes)}: environments get ${writeBytes(sizeBytes)} here`]
      : []),
  ];
}
