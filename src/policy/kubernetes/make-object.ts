/**
 * Makes an object of ours: named, labelled, in the namespace of its environment.
 *
 * @module
 */
import type { KubernetesObject, ObjectKind } from "../../wire/kubernetes.ts";
import type { ObjectFacts } from "./facts.ts";
import { labelsOf } from "./labels.ts";

/** The namespace of an environment. */
export function namespaceOf({ cluster, environment }: Pick<ObjectFacts, "cluster" | "environment">): string {
  return `${cluster.namespacePrefix}${environment}`;
}

/** @param fields beside `apiVersion`, `kind` and `metadata` */
export function makeObject(
  facts: ObjectFacts,
  of: ObjectKind,
  name: string,
  fields: Readonly<Record<string, unknown>>,
): KubernetesObject {
  return {
    apiVersion: of.apiVersion,
    kind: of.kind,
    metadata: { name, namespace: namespaceOf(facts), labels: labelsOf(facts) },
    ...fields,
  };
}
