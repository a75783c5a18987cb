/**
 * The namespace of an environment: how strict it is to pods, and whose it is.
 *
 * @module
 */
import type { PodSecurity } from "../../wire/cluster-settings.ts";
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import type { ObjectFacts } from "./facts.ts";
import { ANNOTATIONS, LABELS, labelsOf, labelValue, personLabel } from "./labels.ts";
import { namespaceOf } from "./make-object.ts";

/** How strict the namespace is: what the definition asks for, where the cluster allows it. */
export function levelOf({ podSecurity, cluster }: Pick<ObjectFacts, "podSecurity" | "cluster">): PodSecurity {
  return podSecurity === "baseline" && cluster.podSecurity === "baseline" ? "baseline" : "restricted";
}

/** Plans the namespace. An apply of it for another owner leaves nothing of the one before. */
export function planNamespace(facts: ObjectFacts): KubernetesObject {
  const { owner, repository, branch, cluster } = facts;
  const isPool = "pool" in owner;
  const ownerLabels = isPool
    ? { [LABELS.pool]: labelValue(owner.pool) }
    : { [LABELS.person]: personLabel(owner.person) };
  const ownerAnnotations = isPool
    ? {}
    : { [ANNOTATIONS.person]: owner.person, [ANNOTATIONS.login]: owner.login, [ANNOTATIONS.branch]: branch };
  return {
    apiVersion: kinds.namespace.apiVersion,
    kind: kinds.namespace.kind,
    metadata: {
      name: namespaceOf(facts),
      labels: {
        ...labelsOf(facts),
        ...ownerLabels,
        // https://kubernetes.io/docs/concepts/security/pod-security-admission/: from 1.22 on; before, labels like any other.
        "pod-security.kubernetes.io/enforce": levelOf(facts),
        "pod-security.kubernetes.io/warn": "restricted",
        "pod-security.kubernetes.io/audit": "restricted",
      },
      annotations: {
        ...ownerAnnotations,
        [ANNOTATIONS.repository]: repository,
        [ANNOTATIONS.cluster]: cluster.name,
      },
    },
  };
}
