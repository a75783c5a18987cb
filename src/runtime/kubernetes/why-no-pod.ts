/**
 * Finds out why the target has no pod: what its workload says of the pods that could not be made.
 *
 * @module
 */
import { z } from "zod";
import { Fault } from "../../base/fault.ts";
import type { Plan } from "../../policy/kubernetes/facts.ts";
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import { type Cluster, namespaceName, podsOf } from "./cluster.ts";

const Template = z.object({
  template: z.object({
    metadata: z.object({ labels: z.record(z.string(), z.string()).default({}) }).default({ labels: {} }),
  }),
});

const Status = z.object({
  conditions: z.array(z.object({ type: z.string(), status: z.string(), message: z.string().default("") })).default([]),
});

/** Of core/v1; newer recorders leave out the first of these times, older ones the other. */
const EventShape = z.object({
  reason: z.string().nullish(),
  message: z.string().nullish(),
  lastTimestamp: z.string().nullish(),
  eventTime: z.string().nullish(),
});

export interface Waited {
  readonly id: string;
  readonly plan: Plan;
  /** Since its objects were applied. */
  readonly waitedMs: number;
}

/** A sentence, `undefined` when nothing says why: as when a quota is used up, or a webhook refuses. */
export async function whyNoPod(cluster: Cluster, waited: Waited, signal: AbortSignal): Promise<string | undefined> {
  const { plan } = waited;
  const target = plan.workloads.find((object) => isTarget(object, plan));
  switch (target?.kind) {
    case kinds.deployment.kind:
      return readFailure(cluster, waited, target.metadata.name, signal);
    case kinds.statefulSet.kind:
      return readEvents(cluster, waited, target.metadata.name, signal);
    default:
      return undefined;
  }
}

async function readFailure(
  { api, settings }: Cluster,
  { id }: Waited,
  name: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const ref = { of: kinds.deployment, namespace: namespaceName({ settings }, id), name };
  const { conditions } = Status.parse((await api.read(ref, signal))?.["status"] ?? {});
  return conditions.find(({ type, status }) => type === "ReplicaFailure" && status === "True")?.message;
}

/** Times of events are whole seconds, and the answer that tells the time was on its way. */
const SLACK_MS = 2_000;

/** A StatefulSet has no such condition, and tells by events alone, of which those of an earlier start may be there still. */
async function readEvents(
  cluster: Cluster,
  { id, plan, waitedMs }: Waited,
  name: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { api, settings } = cluster;
  const namespace = namespaceName({ settings }, id);
  if (podsOf(cluster, id, plan.target).length > 0) return undefined;
  const fieldSelector = `involvedObject.kind=StatefulSet,involvedObject.name=${name},type=Warning`;
  const [{ saidAt }, events] = await Promise.all([
    api.version(signal),
    api.list(kinds.event, { namespace, fieldSelector }, signal).catch((error: unknown) => {
      // A role of before this was asked for: then nothing says why, which is no reason not to wait.
      if (error instanceof Fault && error.code === "cluster.forbidden") return [];
      throw error;
    }),
  ]);
  const since = (saidAt ?? 0) - waitedMs - SLACK_MS;
  const told = events
    .flatMap((event) => EventShape.safeParse(event).data ?? [])
    .map(({ lastTimestamp, eventTime, ...rest }) => ({ ...rest, at: Date.parse(lastTimestamp ?? eventTime ?? "") }))
    .filter(({ reason, at }) => reason === "FailedCreate" && at >= since)
    .toSorted((one, other) => other.at - one.at);
  return told[0]?.message ?? undefined;
}

function isTarget(workload: KubernetesObject, { target }: Plan): boolean {
  const labels = Template.safeParse(workload["spec"]).data?.template.metadata.labels ?? {};
  return Object.entries(target.labels).every(([key, value]) => labels[key] === value);
}
