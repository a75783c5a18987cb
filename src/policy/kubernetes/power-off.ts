/**
 * The same environment asleep: its objects without any pod.
 *
 * @module
 */
import type { KubernetesObject } from "../../wire/kubernetes.ts";
import type { Plan } from "./facts.ts";
import { withAt } from "./fields.ts";

/** Makes of a plan the one in which nothing runs. Applied, it needs the bare pod, and jobs that run, to be removed besides. */
export function powerOff(plan: Plan): Plan {
  return { ...plan, workloads: plan.workloads.flatMap(asleep) };
}

function asleep(object: KubernetesObject): KubernetesObject[] {
  switch (object.kind) {
    case "Pod":
    case "Job":
      return [];
    case "Deployment":
    case "StatefulSet":
      return [{ ...object, ...withAt(object, ["spec", "replicas"], 0) }];
    case "CronJob":
      return [{ ...object, ...withAt(object, ["spec", "suspend"], true) }];
    default:
      return [object];
  }
}
