/**
 * Whole plans on a real server: taken as they are, taken again without a change, and run.
 */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";

import type { Plan } from "../../src/policy/kubernetes/facts.ts";
import { writeManifestComplaint } from "../../src/policy/kubernetes/complaint.ts";
import { planEnvironment, type PlanInput } from "../../src/policy/kubernetes/plan.ts";
import { makeHostKey } from "../../src/runtime/host-key.ts";
import type { ClusterApi } from "../../src/runtime/kubernetes/api/cluster-api.ts";
import type { ClusterSettings } from "../../src/wire/cluster-settings.ts";
import { type KubernetesObject, kinds } from "../../src/wire/kubernetes.ts";
import { sharedCluster } from "../cluster/shared-cluster.ts";
import type { Cluster } from "../cluster/open-cluster.ts";
import { clusterSettings, objectFacts, targetFacts, workload } from "../fakes/object-facts.ts";
import { openApi } from "./use-cluster.ts";

const IMAGE = "slipway/sample:test";
const images = {
  toolbox: "slipway/toolbox:test",
  base: IMAGE,
  pullPolicy: "Never",
  pullSecrets: [],
  pullSecretsFrom: "slipway",
} as const;
const small = { cpuCount: 1, memoryBytes: 2 ** 30, requestShare: 0.02 };
const tiers = { lightweight: small, full: small, compliance: small };

let api: ClusterApi;
let cluster: Cluster;
const made: string[] = [];

beforeAll(async () => {
  api = await openApi();
  cluster = await sharedCluster();
});

afterAll(async () => {
  for (const name of made) await api.remove({ of: kinds.namespace, name }, {}, AbortSignal.timeout(30_000));
  await api[Symbol.asyncDispose]();
});

function makePlan(input: Omit<PlanInput, "keys">, settings: Partial<ClusterSettings> = {}): Plan {
  const environment = `plan${randomBytes(4).toString("hex")}`;
  const facts = objectFacts({
    environment,
    installation: "plantest",
    podSecurity: settings.podSecurity ?? "restricted",
    cluster: clusterSettings({
      images,
      tiers,
      workspace: { sizeBytes: 2 ** 27, isEphemeral: false, scratchBytes: 2 ** 30 },
      ...settings,
    }),
  });
  const { privateText, publicBlob } = makeHostKey();
  const keys = { hostKey: privateText, publicHostKey: publicBlob.toString("base64"), authorizedKeys: "\n" };
  const planned = planEnvironment(facts, targetFacts({ containerEnv: { GREETING: "$(HOME) $x" } }), { keys, ...input });
  if ("complaints" in planned) throw new Error(planned.complaints.map(writeManifestComplaint).join("\n"));
  made.push(planned.namespace.metadata.name);
  return planned;
}

/** Applies in the order of a plan, each part in one go; a field that the server does not know makes it fail. */
async function apply(plan: Plan): Promise<void> {
  for (const items of [[plan.namespace], plan.base, plan.workloads]) {
    if (items.length === 0) continue;
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
    await cluster.kubectlWith(list, "apply", "--server-side", "--field-manager=slipway", "-f", "-");
  }
}

async function versions(plan: Plan): Promise<string> {
  const of = "serviceaccounts,secrets,limitranges,networkpolicies,persistentvolumeclaims,services,configmaps,jobs";
  const format = "jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.resourceVersion}{'\\n'}{end}";
  const { name } = plan.namespace.metadata;
  const all = await cluster.kubectl("-n", name, "get", of, "-l", "slipway.dev/installation=plantest", "-o", format);
  return all
    .split("\n")
    .filter((line) => !/^(?:PersistentVolumeClaim|Job) /.test(line)) // their status changes by itself
    .join("\n");
}

async function untilReady(plan: Plan, selector = "slipway.dev/target=true"): Promise<void> {
  const { name } = plan.namespace.metadata;
  const wait = ["wait", "--for=condition=Ready", "pod", "-l", selector, "--timeout=60s"];
  // Pods of a workload are made after it is.
  for (let tries = 0; ; tries++) {
    try {
      await cluster.kubectl("-n", name, ...wait);
      return;
    } catch (error) {
      if (tries === 20 || !String(error).includes("no matching resources")) {
        throw new Error(await cluster.kubectl("-n", name, "get", "pods,events", "-o", "wide"), { cause: error });
      }
    }
  }
}

async function inside(plan: Plan, script: string): Promise<string> {
  const { name } = plan.namespace.metadata;
  const pods = ["get", "pod", "-l", "slipway.dev/target=true", "-o", "name"];
  const pod = (await cluster.kubectl("-n", name, ...pods)).trim();
  return cluster.kubectl(
    "-n",
    name,
    "exec",
    pod,
    "-c",
    plan.target.container,
    "--",
    "/opt/slipway/bin/sh",
    "-c",
    script,
  );
}

const LOOK = `PATH=/opt/slipway/bin:/opt/slipway/applets:$PATH
until [ -e /run/slipway/ready ]; do sleep 0.05; done
id -u; echo "$GREETING"; echo "$HOME"
for path in /workspace /home/dev /run/slipway-state /run/slipway /tmp; do touch $path/a && echo "writes $path"; done
touch /opt/slipway/a 2>/dev/null || echo "cannot write /opt/slipway"
[ -e /var/run/secrets/kubernetes.io/serviceaccount/token ] || echo "no token"
grep -h NoNewPrivs /proc/1/status | tr -d '\\t'; grep -h CapBnd /proc/1/status | tr -d '\\t'`;

const SEEN = `1000
$(HOME) $x
/home/dev
writes /workspace
writes /home/dev
writes /run/slipway-state
writes /run/slipway
writes /tmp
cannot write /opt/slipway
no token
NoNewPrivs:1
CapBnd:0000000000000000
`;

test("a plan of an image is taken as it is, changes nothing when it is applied again, and its pod runs hardened", async () => {
  const plan = makePlan({});
  await apply(plan);
  await untilReady(plan);
  const before = await versions(plan);
  await apply(plan);
  expect(await versions(plan)).toBe(before);
  expect(await inside(plan, LOOK)).toBe(SEEN);
});

test("a plan of an image runs as root where both sides allow baseline", async () => {
  const settings = {
    podSecurity: "baseline",
    runAsUser: 0,
    workspace: { sizeBytes: 2 ** 27, isEphemeral: true, scratchBytes: 2 ** 30 },
  } as const;
  const plan = makePlan({}, settings);
  await apply(plan);
  await untilReady(plan);
  expect(await inside(plan, 'id() { /opt/slipway/applets/id "$@"; }; id -u')).toBe("0\n");
});

const probed = { livenessProbe: { exec: { command: ["false"] } }, readinessProbe: { exec: { command: ["false"] } } };
const sleeping = { image: IMAGE, command: ["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"] };
const claim = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Ti" } } };

const manifests: readonly KubernetesObject[] = [
  { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "robot" } },
  {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "settings", labels: { app: "api" } },
    data: { MODE: "test" },
    immutable: true,
  },
  { apiVersion: "v1", kind: "Secret", metadata: { name: "password" }, stringData: { PASSWORD: "hidden" } },
  { apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: { name: "cache" }, spec: claim },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "db", annotations: { "slipway.dev/x": "y" } },
    spec: { type: "NodePort", selector: { app: "db" }, ports: [{ port: 5432, nodePort: 31_234 }] },
  },
  workload(
    "api",
    {
      serviceAccountName: "robot",
      terminationGracePeriodSeconds: 1_000,
      containers: [
        {
          ...{ name: "api", image: IMAGE, command: ["/does/not/exist"], args: ["x"], ...probed },
          envFrom: [{ configMapRef: { name: "settings" } }, { secretRef: { name: "password" } }],
          securityContext: { readOnlyRootFilesystem: true },
          volumeMounts: [{ name: "cache", mountPath: "/cache" }],
        },
        {
          name: "side",
          ...sleeping,
          securityContext: { runAsUser: 2_000 },
          resources: { requests: { memory: "700Mi" } },
        },
      ],
      volumes: [{ name: "cache", persistentVolumeClaim: { claimName: "cache" } }],
    },
    { replicas: 3, strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 } } },
  ),
  workload(
    "db",
    { containers: [{ name: "db", ...sleeping, securityContext: { runAsUser: 3_000 } }] },
    { kind: "StatefulSet", serviceName: "db", volumeClaimTemplates: [{ metadata: { name: "data" }, spec: claim }] },
  ),
  {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: "once" },
    spec: {
      template: {
        spec: {
          restartPolicy: "Never",
          containers: [{ name: "once", image: IMAGE, command: ["/bin/true"], securityContext: { runAsUser: 3_000 } }],
        },
      },
    },
  },
];

test("a plan of manifests is taken as it is, its target is held open beside its services, and it sleeps and wakes", async () => {
  const plan = makePlan({ manifests, targetName: "deployment/api/api" });
  await apply(plan);
  await untilReady(plan);
  await untilReady(plan, "app=db");
  const before = await versions(plan);
  await apply(plan);
  expect(await versions(plan)).toBe(before);
  expect(await inside(plan, LOOK)).toBe(SEEN);
  expect(await inside(plan, 'echo "$MODE $PASSWORD"; [ -d /cache ] && echo cached')).toBe("test hidden\ncached\n");
  const { name } = plan.namespace.metadata;
  await cluster.kubectl("-n", name, "wait", "--for=condition=Complete", "job/once", "--timeout=60s");
  await inside(plan, "echo kept >/workspace/kept");
  await cluster.kubectl("-n", name, "scale", "deployment", "--all", "--replicas=0");
  await cluster.kubectl("-n", name, "wait", "--for=delete", "pod", "-l", "slipway.dev/target=true", "--timeout=60s");
  await apply(plan);
  await untilReady(plan);
  expect(await inside(plan, "/opt/slipway/applets/cat /workspace/kept")).toBe("kept\n");
});

test("the quota lets no pod in beyond it, and no port of a node", async () => {
  const plan = makePlan({}, { workspace: { sizeBytes: 2 ** 27, isEphemeral: true, scratchBytes: 2 ** 30 } });
  await apply({ ...plan, workloads: [] });
  const { name } = plan.namespace.metadata;
  const limits = { cpu: "1", memory: "1Gi" };
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { generateName: "p-", namespace: name },
    spec: {
      containers: [
        {
          name: "a",
          image: IMAGE,
          imagePullPolicy: "Never",
          resources: { limits, requests: { cpu: "1m", memory: "1Mi" } },
        },
      ],
    },
  };
  const create = (object: object): Promise<string> => cluster.kubectlWith(JSON.stringify(object), "create", "-f", "-");
  await create(pod);
  await create(pod);
  await expect(create(pod)).rejects.toThrow(/exceeded quota: slipway/);
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "s", namespace: name },
    spec: { type: "NodePort", ports: [{ port: 80 }] },
  };
  await expect(create(service)).rejects.toThrow(/exceeded quota: slipway/);
});
