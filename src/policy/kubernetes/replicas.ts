/**
 * How many pods a workload of the manifests has in an environment.
 *
 * @module
 */
import { fieldsOf, type Fields, withAt } from "./fields.ts";

/** As many as an environment needs to try something out (guess). */
export const REPLICAS_MAX = 5;

/** How many it asks for. */
export function replicasOf(object: Fields): number {
  const { replicas, parallelism } = fieldsOf(object["spec"]);
  const count = object["kind"] === "Job" ? parallelism : replicas;
  return typeof count === "number" && Number.isInteger(count) && count >= 0 ? count : 1;
}

/** How many it gets. */
export function podsOf(object: Fields): number {
  return Math.min(replicasOf(object), REPLICAS_MAX);
}

/** Has it ask for no more than it gets. */
export function limitReplicas(object: Fields, kind: string): Fields {
  if (replicasOf(object) <= REPLICAS_MAX) return object;
  return withAt(object, ["spec", kind === "Job" ? "parallelism" : "replicas"], REPLICAS_MAX);
}
