/**
 * Finds out why the target has no pod: what its workload says of the pods that could not be made.
 *
 * @module
 */
import { z } from "zod";
import type { Plan } from "../../policy/kubernetes/facts.ts";
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import { type Cluster, namespaceName } from "./cluster.ts";

const Template = z.object({
  template: z.object({
    metadata: z.object({ labels: z.record(z.string(), z.string()).default({}) }).default({ labels: {} }),
  }),
});

const Status = z.object({
  conditions: z.array(z.object({ type: z.string(), status: z.string(), message: z.string().default("") })).default([]),
});

/** A sentence, `undefined` when nothing says why: as when a quota is used up, or a webhook refuses. */
export async function whyNoPod(
  cluster: Cluster,
  { id, plan }: { readonly id: string; readonly plan: Plan },
  signal: AbortSignal,
): Promise<string | undefined> {
  const planned = plan.workloads.find((object) => object.kind === kinds.deployment.kind && isTarget(object, plan));
  if (planned === undefined) return undefined;
  const { name } = planned.metadata;
  const ref = { of: kinds.deployment, namespace: namespaceName(cluster, id), name };
  const { conditions } = Status.parse((await cluster.api.read(ref, signal))?.["status"] ?? {});
  return conditions.find(({ type, status }) => type === "ReplicaFailure" && status === "True")?.message;
}

function isTarget(workload: KubernetesObject, { target }: Plan): boolean {
  const labels = Template.safeParse(workload["spec"]).data?.template.metadata.labels ?? {};
  return Object.entries(target.labels).every(([key, value]) => labels[key] === value);
}
