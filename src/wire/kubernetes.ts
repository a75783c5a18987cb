/**
 * What we hold of Kubernetes objects: how one is named, and as much of its shape as every kind has.
 *
 * Objects that we make are whole; of those that a server sends only what is read is believed, after a check.
 *
 * @module
 */

/** A kind of object, as URLs and manifests name it. */
export interface ObjectKind {
  /** `v1`, or `group/version`. */
  readonly apiVersion: string;
  /** `Pod`. */
  readonly kind: string;
  /** Plural in lower case, as in URLs: `pods`. */
  readonly resource: string;
  readonly isNamespaced: boolean;
}

/** One object. */
export interface ObjectRef {
  readonly of: ObjectKind;
  /** Absent for kinds that have none. */
  readonly namespace?: string;
  readonly name: string;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
}

/** `metadata` of an object: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/ */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
}

/** An object as it is sent to and comes from a server. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

/** The kinds that Slipway itself makes, watches or reads. */
export const kinds = {
  namespace: { apiVersion: "v1", kind: "Namespace", resource: "namespaces", isNamespaced: false },
  pod: { apiVersion: "v1", kind: "Pod", resource: "pods", isNamespaced: true },
  secret: { apiVersion: "v1", kind: "Secret", resource: "secrets", isNamespaced: true },
  configMap: { apiVersion: "v1", kind: "ConfigMap", resource: "configmaps", isNamespaced: true },
  service: { apiVersion: "v1", kind: "Service", resource: "services", isNamespaced: true },
  serviceAccount: { apiVersion: "v1", kind: "ServiceAccount", resource: "serviceaccounts", isNamespaced: true },
  volumeClaim: {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    resource: "persistentvolumeclaims",
    isNamespaced: true,
  },
  resourceQuota: { apiVersion: "v1", kind: "ResourceQuota", resource: "resourcequotas", isNamespaced: true },
  limitRange: { apiVersion: "v1", kind: "LimitRange", resource: "limitranges", isNamespaced: true },
  deployment: { apiVersion: "apps/v1", kind: "Deployment", resource: "deployments", isNamespaced: true },
  statefulSet: { apiVersion: "apps/v1", kind: "StatefulSet", resource: "statefulsets", isNamespaced: true },
  job: { apiVersion: "batch/v1", kind: "Job", resource: "jobs", isNamespaced: true },
  cronJob: { apiVersion: "batch/v1", kind: "CronJob", resource: "cronjobs", isNamespaced: true },
  event: { apiVersion: "v1", kind: "Event", resource: "events", isNamespaced: true },
  networkPolicy: {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    resource: "networkpolicies",
    isNamespaced: true,
  },
  ingress: { apiVersion: "networking.k8s.io/v1", kind: "Ingress", resource: "ingresses", isNamespaced: true },
} as const satisfies Record<string, ObjectKind>;
