/**
 * Finds out why the target has no pod: what its workload says of the pods that could not be made.
 *
 * @module
 */
import { z } from "zod";
import { kinds } from "../../wire/kubernetes.ts";
import { type Cluster, namespaceName } from "./cluster.ts";

const Conditions = z.object({
  conditions: z.array(z.object({ type: z.string(), status: z.string(), message: z.string().default("") })).default([]),
});

/** A sentence, `undefined` when nothing says why: as when a quota is used up, or a webhook refuses. */
export async function whyNoPod(cluster: Cluster, id: string, signal: AbortSignal): Promise<string | undefined> {
  const where = { namespace: namespaceName(cluster, id) };
  const workloads = await cluster.api.list(kinds.deployment, where, signal);
  const messages = workloads.flatMap((workload) => {
    const { conditions } = Conditions.parse(workload["status"] ?? {});
    return conditions.filter(({ type, status }) => type === "ReplicaFailure" && status === "True");
  });
  return messages[0]?.message;
}
