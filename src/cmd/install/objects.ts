/**
 * The objects that run Slipway inside of a cluster: one process with its state on a volume, nothing of it as root, and a
 * role with the rights that it uses.
 *
 * Called for `slip install kubernetes`, with plain values or with the placeholders of a chart. Pure.
 *
 * @module
 */
import { GATEWAY_LABELS, LABELS } from "../../policy/kubernetes/labels.ts";
import type { KubernetesObject, ObjectKind } from "../../wire/kubernetes.ts";
import { kinds } from "../../wire/kubernetes.ts";
import type { Permission } from "../../runtime/kubernetes/api/cluster-api.ts";
import { rolesOf } from "./rules.ts";

export interface InstallFacts {
  readonly namespace: string;
  readonly image: string;
  readonly serviceType: string;
  /** Text of `slipway.yaml`. */
  readonly settings: string;
  /** Changes when the settings do, so that the pod is made anew. */
  readonly settingsHash: string;
  /** `resources` of the container. */
  readonly resources: unknown;
  /** As in "10Gi". */
  readonly stateSize: string;
  /** Where webhooks of forges are listened for, if they are. */
  readonly webhooksPort?: number;
  readonly permissions: readonly Permission[];
}

/** Where the settings, and what they name by a bare file name, are in the pod. */
const SETTINGS_FOLDER = "/etc/slipway";
const STATE_FOLDER = "/var/lib/slipway";

/** Holds the files that the settings name; each key is a file beside `slipway.yaml`. */
export const CREDENTIALS_SECRET = "slipway-credentials";
/** Holds the variables that the settings name. */
export const VARIABLES_SECRET = "slipway-variables";

export const SSH_PORT = 2_222;
export const HTTP_PORT = 9_222;

/** Sessions may go on for so long after the pod was told to end. */
const DRAIN_MS = 60_000;
/** For everything that comes after: closing stores and logs (guess). */
const GRACE_S = DRAIN_MS / 1_000 + 15;

/** The user of the image of the gateway: `images/gateway`. */
const UID = 1_000;

const labels = GATEWAY_LABELS;

/** Kinds of what is installed beside those that environments are made of. */
export const installKinds: readonly ObjectKind[] = [
  ...Object.values(kinds),
  rbac("ClusterRole", "clusterroles", false),
  rbac("ClusterRoleBinding", "clusterrolebindings", false),
  rbac("Role", "roles", true),
  rbac("RoleBinding", "rolebindings", true),
];

function rbac(kind: string, resource: string, isNamespaced: boolean): ObjectKind {
  return { apiVersion: "rbac.authorization.k8s.io/v1", kind, resource, isNamespaced };
}

/** Makes everything, in the order in which it has to be there. */
export function installObjects(facts: InstallFacts): KubernetesObject[] {
  const { namespace } = facts;
  const own = (name: string) => ({ name, namespace, labels });
  const subject = { kind: "ServiceAccount", name: "slipway", namespace } as const;
  return [
    {
      ...{ apiVersion: "v1", kind: "Namespace" },
      metadata: {
        name: namespace,
        labels: {
          ...labels,
          // Environments let in the gateway's pods of the namespace that has it, where sessions go by addresses of pods.
          [LABELS.gateway]: namespace,
          "pod-security.kubernetes.io/enforce": "restricted",
        },
      },
    },
    {
      ...{ apiVersion: "v1", kind: "ServiceAccount", metadata: own("slipway") },
      automountServiceAccountToken: false,
    },
    // Two installations in one cluster have a role each.
    ...rolesOf(facts.permissions, { name: `slipway:${namespace}`, labels, subject }),
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: own("slipway-settings"),
      data: { "slipway.yaml": facts.settings },
    },
    {
      ...{ apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: own("slipway-state") },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: facts.stateSize } } },
    },
    deployment(facts),
    service(facts),
    networkPolicy(facts),
  ];
}

function deployment(facts: InstallFacts): KubernetesObject {
  return {
    ...{ apiVersion: "apps/v1", kind: "Deployment" },
    metadata: { name: "slipway", namespace: facts.namespace, labels },
    spec: {
      replicas: 1,
      // The volume and the database on it are of one process at a time.
      strategy: { type: "Recreate" },
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations: { "slipway.dev/settings": facts.settingsHash } },
        spec: {
          serviceAccountName: "slipway",
          automountServiceAccountToken: true,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: GRACE_S,
          securityContext: {
            ...{ runAsNonRoot: true, runAsUser: UID, runAsGroup: UID, fsGroup: UID },
            fsGroupChangePolicy: "OnRootMismatch",
            seccompProfile: { type: "RuntimeDefault" },
          },
          containers: [container(facts)],
          volumes: volumes(),
        },
      },
    },
  };
}

function container(facts: InstallFacts): unknown {
  return {
    name: "slipway",
    image: facts.image,
    command: ["slip", "serve", "--settings", `${SETTINGS_FOLDER}/slipway.yaml`, "--drain-ms", String(DRAIN_MS)],
    env: [
      { name: "SLIPWAY_HOME", value: `${STATE_FOLDER}/state` },
      { name: "HOME", value: STATE_FOLDER },
    ],
    envFrom: [{ secretRef: { name: VARIABLES_SECRET, optional: true } }],
    ports: portsOf(facts).map(({ name, containerPort }) => ({ name, containerPort, protocol: "TCP" })),
    resources: facts.resources,
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
    // Opening the store of another version may take its time; after that a process that does not answer is of no use.
    startupProbe: { httpGet: { path: "/healthz", port: "http" }, periodSeconds: 2, failureThreshold: 60 },
    livenessProbe: { httpGet: { path: "/healthz", port: "http" }, periodSeconds: 10, timeoutSeconds: 5 },
    readinessProbe: { httpGet: { path: "/readyz", port: "http" }, periodSeconds: 5, timeoutSeconds: 5 },
    volumeMounts: [
      { name: "settings", mountPath: SETTINGS_FOLDER, readOnly: true },
      { name: "state", mountPath: STATE_FOLDER },
      { name: "tmp", mountPath: "/tmp" },
    ],
  };
}

function volumes(): unknown[] {
  const sources = [
    { configMap: { name: "slipway-settings" } },
    // The service says by name what is missing of it; a pod that waits for a volume says nothing.
    { secret: { name: CREDENTIALS_SECRET, optional: true } },
  ];
  return [
    { name: "settings", projected: { defaultMode: 0o440, sources } },
    { name: "state", persistentVolumeClaim: { claimName: "slipway-state" } },
    { name: "tmp", emptyDir: {} },
  ];
}

function service(facts: InstallFacts): KubernetesObject {
  const ports = portsOf(facts).filter(({ port }) => port !== undefined);
  return {
    ...{ apiVersion: "v1", kind: "Service" },
    metadata: { name: "slipway", namespace: facts.namespace, labels },
    spec: {
      type: facts.serviceType,
      selector: labels,
      // The protocol is a part of their key: 1.20 refuses to apply ports without it.
      ports: ports.map(({ name, port }) => ({ name, port, protocol: "TCP", targetPort: name })),
    },
  };
}

/** Comes in by these ports alone; where it goes out to is people's repositories, forges and API servers: anywhere. */
function networkPolicy(facts: InstallFacts): KubernetesObject {
  return {
    ...{ apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" },
    metadata: { name: "slipway", namespace: facts.namespace, labels },
    spec: {
      podSelector: { matchLabels: labels },
      policyTypes: ["Ingress"],
      ingress: [{ ports: portsOf(facts).map(({ containerPort }) => ({ protocol: "TCP", port: containerPort })) }],
    },
  };
}

interface Port {
  readonly name: string;
  readonly containerPort: number;
  /** Of the service, for what is to be reached from outside. */
  readonly port?: number;
}

function portsOf({ webhooksPort }: InstallFacts): Port[] {
  return [
    { name: "ssh", containerPort: SSH_PORT, port: 22 },
    { name: "http", containerPort: HTTP_PORT },
    ...(webhooksPort === undefined ? [] : [{ name: "webhooks", containerPort: webhooksPort, port: webhooksPort }]),
  ];
}
