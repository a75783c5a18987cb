import * as fc from "fast-check";
import { expect, test } from "vitest";
import { clusterSettings, objectFacts, planKeys, targetFacts, workload } from "../../../test/fakes/object-facts.ts";
import type { KubernetesObject } from "../../wire/kubernetes.ts";
import { writeManifestComplaint } from "./complaint.ts";
import type { ObjectFacts, Plan, TargetFacts } from "./facts.ts";
import { at, fieldsOf, isFields, listOf } from "./fields.ts";
import { isReserved, personLabel } from "./labels.ts";
import { templatePath } from "./manifest-kinds.ts";
import { planEnvironment, type PlanInput } from "./plan.ts";
import { podSecurityComplaints } from "./pod-security.ts";

interface Changes {
  readonly facts?: Partial<ObjectFacts>;
  readonly target?: Partial<TargetFacts>;
}

function plan(input: Omit<PlanInput, "keys">, { facts, target }: Changes = {}): Plan {
  const planned = planEnvironment(objectFacts(facts), targetFacts(target), { keys: planKeys, ...input });
  if ("complaints" in planned) throw new Error(planned.complaints.map(writeManifestComplaint).join("\n"));
  return planned;
}

function complaints(input: Omit<PlanInput, "keys">, { facts, target }: Changes = {}): string[] {
  const planned = planEnvironment(objectFacts(facts), targetFacts(target), { keys: planKeys, ...input });
  return "complaints" in planned ? planned.complaints.map(writeManifestComplaint) : [];
}

function find({ base, workloads }: Plan, kind: string, name?: string): KubernetesObject | undefined {
  return [...base, ...workloads].find((one) => one.kind === kind && (name === undefined || one.metadata.name === name));
}

const ephemeral = {
  cluster: clusterSettings({ workspace: { sizeBytes: 2 ** 30, isEphemeral: true, scratchBytes: 2 ** 30 } }),
};

/** The spec of the pod of an object. */
function podOf(object: KubernetesObject | undefined): unknown {
  if (object === undefined) return undefined;
  return object.kind === "Pod" ? object["spec"] : at(object, [...(templatePath(object.kind) ?? []), "spec"]);
}

const service = (name: string, spec: object = {}): KubernetesObject => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name },
  spec: { selector: { app: name }, ports: [{ port: 80 }], ...spec },
});

test("planEnvironment() makes one pod of an image, with limits before it and the tools in it", () => {
  const planned = plan({ image: "node:26" });
  expect(planned.base.map(({ kind }) => kind)).toEqual([
    ...["LimitRange", "ResourceQuota", "NetworkPolicy", "ServiceAccount", "Secret", "PersistentVolumeClaim"],
  ]);
  expect(planned.workloads.map(({ kind }) => kind)).toEqual(["Pod"]);
  expect(planned.target).toEqual({ labels: { "slipway.dev/target": "true" }, container: "main" });
  const spec = fieldsOf(podOf(planned.workloads[0]));
  expect(spec).toMatchObject({
    hostname: "hello-main",
    restartPolicy: "Always",
    automountServiceAccountToken: false,
    serviceAccountName: "slipway",
    terminationGracePeriodSeconds: 5,
    containers: [
      { name: "slipway-toolbox", image: "toolbox:1", securityContext: { runAsUser: 1000 } },
      { name: "main", image: "node:26", command: ["/opt/slipway/bin/init"], securityContext: { runAsUser: 1000 } },
    ],
  });
  expect(planned.warnings).toEqual([]);
});

test("planEnvironment() takes the cluster's own image where a definition names none", () => {
  expect(podOf(plan({}).workloads[0])).toMatchObject({ containers: [{}, { image: "base:1" }] });
});

test("planEnvironment() says on the namespace whose it is, in labels that any text fits and annotations that have it whole", () => {
  const { metadata } = plan({}).namespace;
  expect(metadata).toEqual({
    name: "slipway-k3x9",
    labels: {
      "slipway.dev/installation": "inst1234",
      "slipway.dev/environment": "k3x9",
      "slipway.dev/generation": "7",
      "slipway.dev/person": personLabel("github:ada"),
      "pod-security.kubernetes.io/enforce": "restricted",
      "pod-security.kubernetes.io/warn": "restricted",
      "pod-security.kubernetes.io/audit": "restricted",
    },
    annotations: {
      "slipway.dev/person": "github:ada",
      "slipway.dev/login": "hello-main",
      "slipway.dev/branch": "feature/ä new one",
      "slipway.dev/repository": "hello",
      "slipway.dev/cluster": "one",
    },
  });
  const pooled = plan({}, { facts: { owner: { pool: "hello" } } }).namespace.metadata;
  expect(pooled.labels).toHaveProperty(["slipway.dev/pool"], "hello");
  expect(Object.keys(pooled.annotations ?? {})).toEqual(["slipway.dev/repository", "slipway.dev/cluster"]);
});

test("planEnvironment() gives baseline where definition and cluster both do, and says so where one does not", () => {
  const loose = clusterSettings({ podSecurity: "baseline" });
  const root = { runAsUser: 0 };
  const both = plan({}, { facts: { podSecurity: "baseline", cluster: loose }, target: root });
  expect(both.namespace.metadata.labels).toHaveProperty(["pod-security.kubernetes.io/enforce"], "baseline");
  expect(podOf(both.workloads[0])).toMatchObject({ containers: [{}, { securityContext: { runAsUser: 0 } }] });
  const asked = plan({}, { facts: { podSecurity: "baseline" } });
  expect(asked.namespace.metadata.labels).toHaveProperty(["pod-security.kubernetes.io/enforce"], "restricted");
  expect(asked.warnings).toEqual(["podSecurity is restricted here, not baseline: the cluster one allows no less"]);
  expect(complaints({}, { target: root })).toEqual([
    "customizations.slipway.runAsUser: needs a number other than 0, or podSecurity: baseline, is 0 (Running as Non-root user)",
  ]);
});

test("planEnvironment() lets pods reach DNS, each other and the internet, and nothing inside of the cluster", () => {
  const cluster = clusterSettings({
    network: { publicEgress: true, allow: ["10.1.2.0/24"], deny: ["11.0.0.0/8", "2001:db8::/32"] },
  });
  const spec = fieldsOf(find(plan({}, { facts: { cluster } }), "NetworkPolicy")?.["spec"]);
  expect(spec).toMatchObject({
    podSelector: {},
    policyTypes: ["Ingress", "Egress"],
    ingress: [{ from: [{ podSelector: {} }] }],
  });
  const [own, dns, open, ...more] = listOf(spec["egress"]);
  expect(more).toEqual([]);
  expect(own).toEqual({ to: [{ podSelector: {} }] });
  expect(dns).toEqual({
    ports: [
      { protocol: "UDP", port: 53 },
      { protocol: "TCP", port: 53 },
    ],
  });
  const [v4, v6, allowed] = listOf(fieldsOf(open)["to"]);
  const except = listOf(at(v4, ["ipBlock", "except"]));
  for (const range of [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "11.0.0.0/8",
  ]) {
    expect(except).toContain(range);
  }
  expect(at(v6, ["ipBlock", "except"])).toEqual(expect.arrayContaining(["fc00::/7", "fe80::/10", "2001:db8::/32"]));
  expect(allowed).toEqual({ ipBlock: { cidr: "10.1.2.0/24" } });
});

test("planEnvironment() closes the internet where settings do, and lets nobody in from outside of the environment", () => {
  const network = { publicEgress: false, allow: [], deny: [] };
  const closed = fieldsOf(
    find(plan({}, { facts: { cluster: clusterSettings({ network }) } }), "NetworkPolicy")?.["spec"],
  );
  expect(listOf(closed["egress"])).toHaveLength(2);
  expect(closed["ingress"]).toEqual([{ from: [{ podSelector: {} }] }]);
  const elsewhere = { cluster: clusterSettings({ path: "exec" }), gateway: "slipway-east" };
  expect(at(find(plan({}, { facts: elsewhere }), "NetworkPolicy"), ["spec", "ingress"])).toHaveLength(1);
  const denied = clusterSettings({ network: { publicEgress: true, allow: [], deny: ["0.0.0.0/0"] } });
  expect(JSON.stringify(find(plan({}, { facts: { cluster: denied } }), "NetworkPolicy"))).not.toContain(
    '"cidr":"0.0.0.0/0"',
  );
});

test("planEnvironment() lets in the pods of a Slipway in the same cluster that may go by addresses, and nobody else", () => {
  const ingress = at(find(plan({}, { facts: { gateway: "slipway-east" } }), "NetworkPolicy"), ["spec", "ingress"]);
  const from = {
    namespaceSelector: { matchLabels: { "slipway.dev/gateway": "slipway-east" } },
    podSelector: { matchLabels: { "app.kubernetes.io/name": "slipway", "app.kubernetes.io/component": "gateway" } },
  };
  expect(ingress).toEqual([{ from: [{ podSelector: {} }] }, { from: [from], ports: [{ protocol: "TCP" }] }]);
});

test("planEnvironment() leaves no claim where the cluster has no volumes", () => {
  const planned = plan({}, { facts: ephemeral });
  expect(find(planned, "PersistentVolumeClaim")).toBeUndefined();
  expect(find(planned, "ResourceQuota")?.["spec"]).toMatchObject({
    hard: {
      persistentvolumeclaims: "0",
      "requests.storage": "0",
      "services.loadbalancers": "0",
      "services.nodeports": "0",
    },
  });
});

test("planEnvironment() puts the workload that is named into development mode and keeps what is beside it", () => {
  const api = workload(
    "api",
    {
      initContainers: [{ name: "migrate", image: "api:1" }],
      containers: [
        {
          name: "api",
          image: "api:1",
          command: ["serve"],
          args: ["--port", "80"],
          env: [
            { name: "PORT", value: "80" },
            { name: "MODE", value: "production" },
          ],
          envFrom: [{ configMapRef: { name: "settings" } }],
          livenessProbe: { httpGet: { port: 80 } },
          readinessProbe: { httpGet: { port: 80 } },
          startupProbe: { httpGet: { port: 80 } },
          lifecycle: { preStop: { exec: { command: ["true"] } } },
          volumeMounts: [
            { name: "data", mountPath: "/data" },
            { name: "data", mountPath: "/tmp" },
            { name: "data", mountPath: "/workspace/" },
          ],
          securityContext: { readOnlyRootFilesystem: true, runAsUser: 4242 },
        },
        { name: "proxy", image: "proxy:1", args: ["-v"] },
      ],
      volumes: [{ name: "data", emptyDir: {} }],
    },
    { replicas: 3, paused: true, strategy: { type: "RollingUpdate", rollingUpdate: {} } },
  );
  const planned = plan(
    { manifests: [service("api"), api, workload("worker")], targetName: "deployment/api/api" },
    { target: { containerEnv: { MODE: "$(PORT) $HOME" }, hostRequirements: { cpuCount: 1 } } },
  );
  expect(planned.target.container).toBe("api");
  expect(planned.serviceNames).toEqual(["api"]);
  const made = find(planned, "Deployment", "api");
  expect(made?.["spec"]).toMatchObject({ replicas: 1, strategy: { type: "Recreate" } });
  expect(fieldsOf(made?.["spec"])).not.toHaveProperty("paused");
  expect(at(made, ["spec", "template", "metadata", "labels"])).toEqual({
    app: "api",
    "slipway.dev/installation": "inst1234",
    "slipway.dev/environment": "k3x9",
    "slipway.dev/target": "true",
  });
  expect(at(made, ["spec", "template", "metadata", "annotations"])).toEqual({
    "kubectl.kubernetes.io/default-container": "api",
  });
  const spec = fieldsOf(podOf(made));
  expect(spec["initContainers"]).toMatchObject([{ name: "migrate" }]);
  // Before the target, whose command is of the volume that it fills.
  const [toolbox, target, proxy] = listOf(spec["containers"]).map(fieldsOf);
  expect(toolbox).toMatchObject({ name: "slipway-toolbox", securityContext: { runAsUser: 4242 } });
  expect(proxy).toMatchObject({ name: "proxy", args: ["-v"] });
  for (const name of ["args", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"]) {
    expect(target).not.toHaveProperty(name);
  }
  expect(target).toMatchObject({
    command: ["/opt/slipway/bin/init"],
    envFrom: [{ configMapRef: { name: "settings" } }],
    securityContext: { readOnlyRootFilesystem: true, runAsUser: 4242 },
  });
  expect(target?.["env"]).toEqual([
    { name: "PORT", value: "80" },
    { name: "HOME", value: "/home/dev" },
    { name: "MODE", value: "$$(PORT) $$HOME" },
    { name: "SLIPWAY_USER", value: "dev" },
    { name: "SLIPWAY_WORKSPACE", value: "/workspace/hello" },
  ]);
  const mounted = listOf(target?.["volumeMounts"]).map(
    (mount) => `${String(fieldsOf(mount)["name"])} ${String(fieldsOf(mount)["mountPath"])}`,
  );
  expect(mounted).toEqual([
    "data /data",
    "data /tmp",
    "slipway-tools /opt/slipway",
    "slipway-run /run/slipway",
    "slipway-keys /run/slipway-keys",
    "slipway-files /workspace",
    "slipway-files /home/dev",
    "slipway-files /run/slipway-state",
  ]);
  expect(planned.warnings).toEqual([
    'Deployment "api": its own volume at /workspace is not mounted there: Slipway\'s is',
  ]);
  expect(at(find(planned, "Deployment", "worker"), ["spec", "template", "metadata", "labels"])).not.toHaveProperty([
    "slipway.dev/target",
  ]);
});

test.each([
  [
    "one that is not there",
    "deployment/web",
    'target: "deployment/web" is not in the manifests; there are deployment/api, statefulset/db',
  ],
  [
    "one of another kind",
    "statefulset/api",
    'target: "statefulset/api" is not in the manifests; there are deployment/api, statefulset/db',
  ],
  [
    "a word",
    "api",
    'target: needs a workload as "deployment/api", or "deployment/api/container", is "api"; there are deployment/api, statefulset/db',
  ],
  [
    "none of several",
    undefined,
    "which of them is to be entered has to be said: needs customizations.slipway.target, one of deployment/api, statefulset/db",
  ],
  [
    "one with two containers",
    "deployment/api",
    "target: deployment/api has several containers: needs one of deployment/api/one, deployment/api/two",
  ],
  [
    "another container",
    "deployment/api/three",
    'target: "three" is no container of deployment/api; there are deployment/api/one, deployment/api/two',
  ],
])("planEnvironment() refuses a target: %s", (_, targetName, expected) => {
  const containers = [
    { name: "one", image: "a" },
    { name: "two", image: "b" },
  ];
  const manifests = [workload("api", { containers }), workload("db", {}, { kind: "StatefulSet" })];
  expect(complaints({ manifests, ...(targetName === undefined ? {} : { targetName }) })).toEqual([expected]);
});

test("planEnvironment() enters the only workload there is, and a stateful one", () => {
  const planned = plan({ manifests: [workload("db", {}, { kind: "StatefulSet", replicas: 3 })] });
  expect(planned.target.container).toBe("db");
  expect(find(planned, "StatefulSet")?.["spec"]).toMatchObject({ replicas: 1 });
  expect(plan({ manifests: [workload("api")], targetName: "deploy/api" }).target.container).toBe("api");
});

test("planEnvironment() tells everything that is wrong with manifests at once", () => {
  const manifests = [
    workload("api", {
      hostNetwork: true,
      serviceAccountName: "someone",
      volumes: [
        { name: "slipway-run", hostPath: { path: "/" } },
        { name: "t", projected: { sources: [{ serviceAccountToken: {} }] } },
      ],
      containers: [
        {
          name: "api",
          image: "a",
          ports: [{ hostPort: 80 }],
          securityContext: { privileged: true, capabilities: { add: ["SYS_ADMIN"] } },
        },
      ],
    }),
    { apiVersion: "apps/v1", kind: "DaemonSet", metadata: { name: "agent" } },
    { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name: "all" } },
    { apiVersion: "example.org/v1", kind: "Widget", metadata: { name: "w" } },
    { apiVersion: "extensions/v1beta1", kind: "Deployment", metadata: { name: "old" } },
    service("api", { selector: { "slipway.dev/target": "true" } }),
    { apiVersion: "v1", kind: "Secret", metadata: { name: "slipway-keys" } },
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "Not OK" } },
  ];
  expect(complaints({ manifests })).toEqual([
    'DaemonSet "agent": kind: would run on every node: write a Deployment, or leave it out',
    'ClusterRole "all": kind: gives rights in the cluster, which environments have none of: leave it out',
    expect.stringMatching(/^Widget "w": kind: is no kind that environments take \(Deployment, /),
    expect.stringMatching(/^Deployment "old": kind: is no kind that environments take/),
    'Service "api": spec.selector["slipway.dev/target"]: is a label of Slipway\'s own: needs another',
    'Secret "slipway-keys": metadata.name: is a name of Slipway\'s own: needs another',
    'ConfigMap "Not OK": metadata.name: needs a name of lower-case letters, digits, - and .',
    'Deployment "api": spec.template.spec.serviceAccountName: needs a ServiceAccount of that name in the manifests, or to be left out',
    'Deployment "api": spec.template.spec.volumes[1].projected.sources[0]: is a token of a service account: needs customizations.slipway.serviceAccountToken',
    'Deployment "api": spec.template.spec.volumes[0].name: is a name of Slipway\'s own: needs another',
    'Deployment "api": spec.template.spec.hostNetwork: needs to be left out, is true (Host Namespaces)',
    'Deployment "api": spec.template.spec.containers[0].securityContext.privileged: needs to be left out, is true (Privileged Containers)',
    expect.stringContaining("containers[0].securityContext.capabilities.add[0]: needs one of AUDIT_WRITE"),
    expect.stringContaining("volumes[0].hostPath: needs another kind of volume"),
    expect.stringContaining("containers[0].ports[0].hostPort: needs to be left out, is 80"),
    expect.stringContaining("volumes[0]: needs one of configMap"),
    expect.stringContaining("capabilities.add[0]: needs NET_BIND_SERVICE"),
  ]);
});

test("planEnvironment() leaves out what has no place in an environment, with a sentence each", () => {
  const of = (apiVersion: string, kind: string): KubernetesObject => ({ apiVersion, kind, metadata: { name: "a" } });
  const planned = plan({
    manifests: [
      workload("api"),
      of("v1", "Namespace"),
      of("networking.k8s.io/v1", "Ingress"),
      of("networking.k8s.io/v1", "NetworkPolicy"),
      of("autoscaling/v2", "HorizontalPodAutoscaler"),
      of("policy/v1", "PodDisruptionBudget"),
      of("rbac.authorization.k8s.io/v1", "Role"),
      of("monitoring.coreos.com/v1", "ServiceMonitor"),
      service("lb", { type: "LoadBalancer", externalIPs: ["1.2.3.4"], ports: [{ port: 80, nodePort: 30_080 }] }),
      {
        ...workload("other", { nodeName: "n1", priorityClassName: "system-cluster-critical" }),
        metadata: { name: "other", namespace: "prod", finalizers: ["a/b"] },
      },
    ],
    targetName: "deployment/api",
  });
  expect(planned.workloads.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
    "Service lb",
    "Deployment api",
    "Deployment other",
  ]);
  expect(find(planned, "Service")?.["spec"]).toEqual({
    selector: { app: "lb" },
    type: "ClusterIP",
    ports: [{ protocol: "TCP", port: 80 }],
  });
  expect(planned.warnings).toEqual([
    'Ingress "a" is left out: environments are reached through ssh; forward a port',
    'NetworkPolicy "a" is left out: environments have Slipway\'s own',
    'HorizontalPodAutoscaler "a" is left out: environments are not scaled',
    'PodDisruptionBudget "a" is left out: it would hold up nodes for the sake of one environment',
    'Role "a" is left out: it gives rights in the cluster, which environments have none of',
    'ServiceMonitor "a" is left out: environments are not watched by the cluster\'s monitoring',
    'Service "lb": its type is ClusterIP, not LoadBalancer: environments are reached through ssh',
    'Service "lb": its externalIPs are left out',
    'Deployment "other": its finalizers, which would hold up the end of the environment, are left out',
    'Deployment "other" is put into the environment\'s own namespace, not "prod"',
    'Deployment "other": its nodeName is left out: that is for the cluster to say',
    'Deployment "other": its priorityClassName is left out: that is for the cluster to say',
  ]);
});

test("planEnvironment() bounds volumes of services, and makes folders of them where the cluster has none", () => {
  const claim = {
    resources: { requests: { storage: "100Gi" } },
    volumeName: "somebody-elses",
    accessModes: ["ReadWriteOnce"],
  };
  const manifests = [
    workload("api", { volumes: [{ name: "files", persistentVolumeClaim: { claimName: "files" } }] }),
    workload("db", {}, { kind: "StatefulSet", volumeClaimTemplates: [{ metadata: { name: "data" }, spec: claim }] }),
    { apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: { name: "files" }, spec: claim },
  ];
  const input = { manifests, targetName: "deployment/api" };
  const bounded = plan(input);
  const spec = { resources: { requests: { storage: "10Gi" } }, accessModes: ["ReadWriteOnce"] };
  expect(find(bounded, "PersistentVolumeClaim", "files")?.["spec"]).toEqual(spec);
  expect(at(find(bounded, "StatefulSet"), ["spec", "volumeClaimTemplates"])).toEqual([
    { metadata: { name: "data" }, spec },
  ]);
  expect(find(bounded, "ResourceQuota")?.["spec"]).toMatchObject({
    hard: { persistentvolumeclaims: "3", "requests.storage": "30Gi" },
  });
  const folders = plan(input, { facts: ephemeral });
  expect(find(folders, "PersistentVolumeClaim")).toBeUndefined();
  expect(at(find(folders, "StatefulSet"), ["spec", "volumeClaimTemplates"])).toBeUndefined();
  expect(podOf(find(folders, "StatefulSet"))).toMatchObject({ volumes: [{ name: "data", emptyDir: {} }] });
  expect(listOf(fieldsOf(podOf(find(folders, "Deployment")))["volumes"])[0]).toEqual({ name: "files", emptyDir: {} });
  expect(folders.warnings).toHaveLength(2 + 2);
});

// A container could fill the disk of its node, and with it those of everybody there.
test("planEnvironment() bounds what containers write to the disk of a node, and asks for none of it", () => {
  const limits = (planned: Plan): unknown => listOf(at(find(planned, "LimitRange"), ["spec", "limits"]))[0];
  const asked = { limits: { "ephemeral-storage": "1Ti" }, requests: { "ephemeral-storage": "1Gi" } };
  const planned = plan({
    manifests: [workload("api", { containers: [{ name: "api", image: "a", resources: asked }] })],
  });
  expect(limits(planned)).toMatchObject({
    default: { "ephemeral-storage": "10Gi" },
    defaultRequest: { "ephemeral-storage": "0" },
    max: { "ephemeral-storage": "10Gi" },
  });
  expect(listOf(fieldsOf(podOf(find(planned, "Deployment")))["containers"])[1]).toMatchObject({
    resources: { limits: { "ephemeral-storage": "10Gi" }, requests: { "ephemeral-storage": "1Gi" } },
  });
  expect(limits(plan({}, { facts: ephemeral }))).toMatchObject({ max: { "ephemeral-storage": "2Gi" } });
});

const quotaOf = (planned: Plan): unknown =>
  at(find(planned, "ResourceQuota"), ["spec", "hard", "persistentvolumeclaims"]);

// One that was renamed was over the quota, since the one before is kept: such an environment never woke again.
test("planEnvironment() has room for the volume claims that are kept from before, up to a bound", () => {
  const claim = (name: string): KubernetesObject => ({
    ...{ apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: { name }, spec: {} },
  });
  const volumeClaimTemplates = [{ metadata: { name: "data" }, spec: {} }];
  const db = workload("db", {}, { kind: "StatefulSet", replicas: 9, volumeClaimTemplates });
  const manifests = [workload("api"), db, claim("files")];
  const planned = plan({ manifests, targetName: "deployment/api" });
  expect(planned.claims).toEqual([...[0, 1, 2, 3, 4].map((ordinal) => `data-db-${ordinal}`), "files"]);
  expect(quotaOf(planned)).toBe("7");
  expect(plan({ manifests, targetName: "statefulset/db" }).claims).toEqual(["data-db-0", "files"]);
  const claimsBefore = ["slipway-files", "files", "data-db-0", "data-old-0", "old"];
  expect(quotaOf(plan({ manifests, targetName: "deployment/api", claimsBefore }))).toBe("9");
  expect(quotaOf(plan({ image: "node:26", claimsBefore }))).toBe("5");
  const many = Array.from({ length: 30 }, (_, index) => `old-${index}`);
  expect(complaints({ manifests: [workload("api")], claimsBefore: many })).toEqual([
    "there would be 31 volume claims, 30 of them kept from before, needs at most 30: " +
      "name volumes as they were named before, or make the environment anew",
  ]);
});

// They went around what bounds claims: as large as they liked, and of a volume that was somebody else's.
test("planEnvironment() bounds volumes that live as long as their pods, and counts them for each pod", () => {
  const spec = { volumeName: "somebody-elses", resources: { requests: { storage: "100Gi" } } };
  const volumes = [{ name: "scratch", ephemeral: { volumeClaimTemplate: { spec } } }];
  const manifests = [workload("api"), workload("db", { volumes }, { replicas: 2 })];
  const input = { manifests, targetName: "deployment/api" };
  const planned = plan(input);
  expect(listOf(fieldsOf(podOf(find(planned, "Deployment", "db")))["volumes"])).toEqual([
    { name: "scratch", ephemeral: { volumeClaimTemplate: { spec: { resources: { requests: { storage: "10Gi" } } } } } },
  ]);
  expect(planned.warnings).toEqual([
    'Deployment "db": it gets 10Gi and not 100Gi, the most that this cluster gives',
    'Deployment "db": its volumeName is left out: environments begin with empty volumes',
  ]);
  expect(quotaOf(planned)).toBe("5");
  const folders = plan(input, { facts: ephemeral });
  expect(listOf(fieldsOf(podOf(find(folders, "Deployment", "db")))["volumes"])).toEqual([
    { name: "scratch", emptyDir: {} },
  ]);
});

test("planEnvironment() shares what a tier has among containers, and fits those that want more", () => {
  const limits = (memory: string, requests = memory): object => ({
    resources: { limits: { memory, cpu: "8" }, requests: { memory: requests } },
  });
  const containers = (name: string, more: object): object => ({ containers: [{ name, image: "a", ...more }] });
  const planned = plan({
    manifests: [
      workload("api"),
      workload("db", { ...containers("db", limits("1Gi")) }),
      workload("big", { ...containers("big", limits("64Gi")) }),
      workload("quiet"),
    ],
    targetName: "deployment/api",
  });
  const resources = (name: string): unknown =>
    fieldsOf(listOf(fieldsOf(podOf(find(planned, "Deployment", name)))["containers"])[0])["resources"];
  expect(resources("db")).toMatchObject({ limits: { memory: "1Gi", cpu: "2" }, requests: { cpu: "200m" } });
  expect(resources("big")).toMatchObject({ limits: { memory: "4Gi", cpu: "2" } });
  expect(resources("quiet")).toBeUndefined();
  expect(resources("api")).toMatchObject({ limits: { memory: "64Mi" } });
  expect(planned.warnings).toEqual([
    "the containers of the manifests may use more together than this environment has: some may not start",
  ]);
});

test("planEnvironment() says of ports and variables what an apply has to know", () => {
  const ports = [{ containerPort: 53, protocol: "UDP" }, { containerPort: 80 }];
  const env = [
    { name: "A", value: "1" },
    { name: "B", value: "2" },
    { name: "A", value: "3" },
  ];
  const manifests = [workload("api"), workload("db", { containers: [{ name: "db", image: "a", ports, env }] })];
  const planned = plan({ manifests, targetName: "deployment/api" });
  expect(podOf(find(planned, "Deployment", "db"))).toMatchObject({
    containers: [{ ports: [ports[0], { containerPort: 80, protocol: "TCP" }], env: [env[1], env[2]] }],
  });
});

test("planEnvironment() makes data of the texts of a secret, and wants texts there", () => {
  const of = (kind: string, more: object): KubernetesObject => ({
    apiVersion: "v1",
    kind,
    metadata: { name: "a" },
    ...more,
  });
  const secret = of("Secret", { data: { a: "YQ==", b: "Yg==" }, stringData: { b: "ä" }, immutable: true });
  const planned = plan({ manifests: [workload("api"), secret] });
  expect(find(planned, "Secret", "a")).toEqual({
    ...of("Secret", { data: { a: "YQ==", b: "w6Q=" } }),
    metadata: expect.objectContaining({ name: "a" }) as unknown,
  });
  const wrong = [of("ConfigMap", { data: { PORT: 80 } }), { ...of("Secret", { stringData: { on: true } }) }];
  expect(complaints({ manifests: [workload("api"), ...wrong] })).toEqual([
    'ConfigMap "a": data.PORT: needs a text: put it in quotes',
    'Secret "a": stringData.on: needs a text: put it in quotes',
  ]);
});

test("planEnvironment() gives tokens only where they are asked for", () => {
  const manifests = [
    workload("api", { serviceAccountName: "robot", automountServiceAccountToken: true }),
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "robot" }, automountServiceAccountToken: true },
  ];
  const closed = plan({ manifests });
  expect(podOf(find(closed, "Deployment"))).toMatchObject({
    serviceAccountName: "robot",
    automountServiceAccountToken: false,
  });
  expect(find(closed, "ServiceAccount", "robot")).toHaveProperty("automountServiceAccountToken", false);
  const open = plan({ manifests }, { target: { serviceAccountToken: true } });
  expect(podOf(find(open, "Deployment"))).toMatchObject({ automountServiceAccountToken: true });
  expect(podOf(find(plan({}, { target: { serviceAccountToken: true } }), "Pod"))).toMatchObject({
    automountServiceAccountToken: true,
  });
  // Only a pod or an account that said so itself had one: our own account never does.
  const silent = plan({ manifests: [workload("api")] }, { target: { serviceAccountToken: true } });
  expect(podOf(find(silent, "Deployment"))).toMatchObject({ automountServiceAccountToken: true });
  const unwilling = workload("api", { automountServiceAccountToken: false });
  const kept = plan({ manifests: [unwilling] }, { target: { serviceAccountToken: true } });
  expect(podOf(find(kept, "Deployment"))).toMatchObject({ automountServiceAccountToken: false });
});

const words = fc.constantFrom(
  ...[
    "a",
    "app",
    "slipway.dev/target",
    "slipway.dev/installation",
    "spec",
    "template",
    "metadata",
    "labels",
    "annotations",
  ],
  ...["containers", "name", "image", "securityContext", "privileged", "volumes", "selector", "matchLabels", "hostPath"],
  ...[
    "replicas",
    "resources",
    "limits",
    "memory",
    "env",
    "volumeMounts",
    "initContainers",
    "ports",
    "key",
    "kind",
    "items",
  ],
);
const hostileValue = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    fc.oneof(
      fc.constantFrom(null, true, false, 0, -1, 1e300, "", "1Gi", "api", "slipway.dev/x", "Deployment"),
      fc.string({ maxLength: 8 }),
    ),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(words, tie("value"), { maxKeys: 5 }),
  ),
})).value;
const kind = fc.constantFrom(
  "Deployment",
  "StatefulSet",
  "Service",
  "ConfigMap",
  "Secret",
  "Job",
  "CronJob",
  "PersistentVolumeClaim",
  "ServiceAccount",
  "Pod",
);
const group: Readonly<Record<string, string>> = {
  Deployment: "apps/v1",
  StatefulSet: "apps/v1",
  Job: "batch/v1",
  CronJob: "batch/v1",
};
const template = fc.record({
  metadata: hostileValue,
  spec: fc.oneof(
    hostileValue,
    fc.record({
      containers: fc.array(
        fc.record({
          name: fc.constantFrom("a", "b"),
          image: fc.constant("a"),
          securityContext: hostileValue,
          env: hostileValue,
          resources: hostileValue,
        }),
        { maxLength: 2 },
      ),
      volumes: hostileValue,
      securityContext: hostileValue,
    }),
  ),
});
const hostileObject = fc
  .record({
    kind,
    name: fc.constantFrom("api", "db", "web"),
    labels: hostileValue,
    annotations: hostileValue,
    spec: fc.oneof(
      hostileValue,
      fc.record(
        { template, replicas: hostileValue, volumeClaimTemplates: hostileValue },
        { requiredKeys: ["template"] },
      ),
    ),
    data: hostileValue,
  })
  .map(
    ({ kind: is, name, labels, annotations, ...more }) =>
      ({
        apiVersion: group[is] ?? "v1",
        kind: is,
        metadata: { name, labels, annotations },
        ...more,
      }) as KubernetesObject,
  );

/** Every key and label name with our prefix in an object, but those of data. */
function reservedIn(value: unknown, path: readonly string[] = []): string[] {
  if (Array.isArray(value)) return value.flatMap((item: unknown) => reservedIn(item, path));
  if (!isFields(value)) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    if (path.length === 0 && ["data", "stringData", "binaryData"].includes(name)) return [];
    return [
      ...(isReserved(name) ? [`${[...path, name].join(".")}=${String(inner)}`] : []),
      ...reservedIn(inner, [...path, name]),
    ];
  });
}

const OURS =
  /^(metadata|spec\.template\.metadata|spec\.jobTemplate\.spec\.template\.metadata)\.labels\.slipway\.dev\/(installation=inst1234|environment=k3x9|generation=7|target=true)$/;

test("planEnvironment() lets no reserved label of a manifest through, and has every pod within its level", () => {
  let plans = 0;
  fc.assert(
    fc.property(
      fc.array(hostileObject, { maxLength: 4 }),
      fc.constantFrom("restricted" as const, "baseline" as const),
      (others, podSecurity) => {
        const facts = objectFacts({ podSecurity, cluster: clusterSettings({ podSecurity: "baseline" }) });
        const manifests = [workload("target"), ...others];
        const before = structuredClone(manifests);
        const input = { keys: planKeys, manifests, targetName: "deployment/target" };
        const planned = planEnvironment(facts, targetFacts(), input);
        expect(manifests).toEqual(before);
        expect(planEnvironment(facts, targetFacts(), input)).toEqual(planned);
        if ("complaints" in planned) return;
        plans += 1;
        for (const object of planned.workloads) {
          for (const found of reservedIn(object)) expect(found).toMatch(OURS);
          expect(object.metadata.namespace).toBe("slipway-k3x9");
          const path = templatePath(object.kind);
          if (path !== undefined) expect(podSecurityComplaints(at(object, [...path, "spec"]), podSecurity)).toEqual([]);
          const isTarget = object.metadata.name === "target" && object.kind === "Deployment";
          expect(reservedIn(object).some((found) => found.endsWith("target=true"))).toBe(isTarget);
        }
      },
    ),
    { numRuns: 600 },
  );
  expect(plans).toBeGreaterThan(50);
});

test("planEnvironment() answers anything at all with a plan or complaints", () => {
  fc.assert(
    fc.property(fc.array(fc.anything({ maxDepth: 4 }), { maxLength: 4 }), (manifests) => {
      const planned = planEnvironment(objectFacts(), targetFacts(), {
        keys: planKeys,
        manifests: manifests as KubernetesObject[],
      });
      expect("complaints" in planned || "namespace" in planned).toBe(true);
    }),
  );
});

test.each([
  [
    "very many",
    Array.from({ length: 100_000 }, (_, index) => workload(`w${index}`)),
    "the manifests are 100000 objects, needs at most 300",
  ],
  [
    "very large",
    [{ ...workload("api"), data: { a: "x".repeat(5_000_000) } }],
    'Deployment "api": is larger than a cluster takes',
  ],
  ["very deep", [{ ...workload("api"), spec: deep(5_000) }], 'Deployment "api": is nested deeper than 64 levels'],
])("planEnvironment() refuses manifests that are %s", (_, manifests, expected) => {
  expect(complaints({ manifests })).toContain(expected);
});

function deep(levels: number): unknown {
  let value: unknown = "end";
  for (let level = 0; level < levels; level++) value = { template: value };
  return value;
}
