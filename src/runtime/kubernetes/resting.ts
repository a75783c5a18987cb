/**
 * How workloads are put to rest, so that they have no pods, and how a plan says that they have some again.
 *
 * Called by `sleeping.ts` and `starting.ts`.
 *
 * @module
 */
import { fieldsOf, type Fields } from "../../policy/kubernetes/fields.ts";
import { kinds, type KubernetesObject, type ObjectKind } from "../../wire/kubernetes.ts";
import type { ClusterApi, ServerVersion } from "./api/cluster-api.ts";
import { cronJobKind, hasFeature } from "./api/versions.ts";

/** A kind of workload, and what is done to each so that it has no pods. */
export interface Rest {
  readonly of: ObjectKind;
  readonly patch: { readonly spec: Fields };
}

/** Lists them; those that make others come first. */
export function restsOf(version: ServerVersion): readonly Rest[] {
  const job = hasFeature(version, "suspendedJobs") ? { suspend: true } : { parallelism: 0 };
  return [
    { of: cronJobKind(version), patch: { spec: { suspend: true } } },
    { of: kinds.deployment, patch: { spec: { replicas: 0 } } },
    { of: kinds.statefulSet, patch: { spec: { replicas: 0 } } },
    { of: kinds.job, patch: { spec: job } },
  ];
}

/**
 * Says of planned workloads how many pods they have, in so many words: to one that says nothing an apply leaves the none that
 * its sleep gave it.
 */
export async function asAwake(
  api: Pick<ClusterApi, "version">,
  workloads: readonly KubernetesObject[],
  signal: AbortSignal,
): Promise<readonly KubernetesObject[]> {
  const hasJobs = workloads.some(({ kind }) => kind === kinds.job.kind);
  const mayBeSuspended = hasJobs && hasFeature(await api.version(signal), "suspendedJobs");
  return workloads.map((object) => {
    const wakes = wakesOf(object.kind, mayBeSuspended);
    return wakes === undefined ? object : { ...object, spec: { ...wakes, ...fieldsOf(object["spec"]) } };
  });
}

/** The fields of a planned workload by which it is awake, for one of which nothing else can be changed. */
export function wakingPatch({ kind, spec }: KubernetesObject): { readonly spec: Fields } | undefined {
  const { replicas, suspend, parallelism } = fieldsOf(spec);
  const wakes = Object.entries({ replicas, suspend, parallelism }).filter(([, value]) => value !== undefined);
  return wakesOf(kind, true) === undefined ? undefined : { spec: Object.fromEntries(wakes) };
}

/** What a server takes where nothing is said. */
function wakesOf(kind: string, mayBeSuspended: boolean): Fields | undefined {
  switch (kind) {
    case "Deployment":
    case "StatefulSet":
      return { replicas: 1 };
    case "CronJob":
      return { suspend: false };
    case "Job":
      return mayBeSuspended ? { suspend: false } : { parallelism: 1 };
    default:
      return undefined;
  }
}
