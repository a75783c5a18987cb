/**
 * What becomes of an environment of manifests while it sleeps, and when it wakes to other ones than it slept with.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { neededPermissions } from "../../src/policy/kubernetes/needed-permissions.ts";
import { sharedCluster } from "../cluster/shared-cluster.ts";
import { until } from "../harness/wait.ts";
import { mustRun } from "../harness/program.ts";
import { HOOK_MS, lobby, SLOW_MS, useFaulty } from "./faults/use-faulty.ts";
import { writeKubeconfig } from "./least-rights.ts";
import { pushFiles } from "./repository-changes.ts";

const pod = (name: string, command: string) => ({
  metadata: { labels: { app: name } },
  spec: {
    terminationGracePeriodSeconds: 1,
    securityContext: { runAsNonRoot: true, runAsUser: 1_000, seccompProfile: { type: "RuntimeDefault" } },
    containers: [
      {
        name,
        image: "slipway/sample:test",
        imagePullPolicy: "Never",
        command: ["busybox", "sh", "-c", command],
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      },
    ],
  },
});

/** None of them says how many replicas it has. */
const workload = (kind: string, name: string) => ({
  apiVersion: "apps/v1",
  kind,
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: name } },
    template: pod(name, "sleep 1000000"),
    ...(kind === "StatefulSet" ? { serviceName: name } : {}),
  },
});

const jobSpec = (name: string, command: string) => {
  const { spec, metadata } = pod(name, command);
  return { template: { metadata, spec: { ...spec, restartPolicy: "Never" } } };
};

const service = (name: string) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name },
  spec: { selector: { app: name }, ports: [{ port: 8_080 }] },
});

const claim = (name: string) => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "64Mi" } } },
});

function manifests(command: string, ...more: readonly object[]): string {
  const job = { apiVersion: "batch/v1", kind: "Job", metadata: { name: "seed" }, spec: jobSpec("seed", command) };
  const all = [workload("StatefulSet", "api"), workload("Deployment", "db"), job, ...more];
  return all.map((object) => JSON.stringify(object)).join("\n---\n");
}

const rights = join(mkdtempSync(join(tmpdir(), "slipway-rights-")), "needed.kubeconfig");
const name = `needed-${randomBytes(3).toString("hex")}`;
beforeAll(async () => writeKubeconfig(rights, { name, permissions: neededPermissions() }), HOOK_MS);
afterAll(async () => {
  const cluster = await sharedCluster();
  await cluster.kubectl("delete", "clusterrole,clusterrolebinding", name, "--ignore-not-found");
  await cluster.kubectl("delete", "namespace", name, "--wait=false");
  rmSync(dirname(rights), { recursive: true });
});

const FILE = "k8s/all.yaml";
const definition = JSON.stringify({ customizations: { slipway: { manifests: FILE, target: "statefulset/api" } } });
/** With no right beyond those that it is said to need. */
const faulty = useFaulty({
  cluster: { kubeconfig: rights },
  repositories: {
    shop: {
      definition,
      branches: ["feature"],
      files: { [FILE]: manifests("sleep 1000000", service("old"), service("api"), claim("before")) },
    },
  },
});

const LOGIN = "shop-feature";
const enter = (script: string) =>
  faulty()
    .service.as("ada")
    .ssh([`${LOGIN}@slipway`, script], { timeoutMs: SLOW_MS });

async function get(...words: readonly string[]): Promise<string> {
  const { kubectl, namespaceOf } = faulty();
  return (await kubectl("-n", await namespaceOf(LOGIN), "get", ...words)).trim();
}

/** To know that there is no such branch, the service asks the forge. */
async function fetched(): Promise<void> {
  const { exitCode } = await faulty().service.as("ada").ssh(["shop-nowhere@slipway", "true"], { timeoutMs: SLOW_MS });
  expect(exitCode).toBe(255);
}

async function sleepWell(): Promise<void> {
  expect((await lobby(faulty().service.as("ada"), "sleep", LOGIN)).exitCode).toBe(0);
  expect(await get("pods", "-o", "name")).toBe("");
}

test(
  "an environment that sleeps has no pods, those of Jobs neither, and all of them when it wakes",
  { timeout: HOOK_MS },
  async () => {
    const made = await enter("echo mine >kept");
    expect(made.exitCode, made.stderr).toBe(0);
    const running = async (): Promise<boolean> =>
      (await get("pods", "-o", "jsonpath={.items[*].status.phase}")) === "Running Running Running";
    await until("three pods", running, SLOW_MS);
    await sleepWell();
    expect(await get("job", "seed", "-o", "jsonpath={.spec.suspend}{.spec.parallelism}")).toMatch(/^true|0$/);
    expect(await enter("cat kept")).toMatchObject({ exitCode: 0, stdout: "mine\n" });
    await until("three pods again", running, SLOW_MS);
  },
);

test(
  "an environment wakes to what was pushed meanwhile, without what that left out, and says what keeps its old form",
  { timeout: HOOK_MS },
  async () => {
    await sleepWell();
    const files = { [FILE]: manifests("sleep 2000000", service("api"), claim("after")) };
    await pushFiles(faulty().service, { repository: "shop", branch: "feature" }, files);
    await fetched();
    const woken = await enter("cat kept");
    expect(woken, woken.stderr).toMatchObject({ exitCode: 0, stdout: "mine\n" });
    expect(woken.stderr).toMatch(/Job seed keeps its old form: a cluster does not let spec\.template be changed/);
    expect(await get("services", "-o", "name")).toBe("service/api");
    // It had no place in the quota beside the one that is kept.
    expect(woken.stderr).toMatch(/the volume claim before is kept, though nothing defines it any more/);
    const claims = await get("persistentvolumeclaims", "-o", "jsonpath={.items[*].metadata.name}");
    expect(claims.split(" ").sort()).toEqual(["after", "before", "slipway-files"]);
    expect(await get("job", "seed", "-o", "jsonpath={.spec.template.spec.containers[0].command[3]}")).toBe(
      "sleep 1000000",
    );
  },
);

test(
  "an environment whose branch was merged and deleted wakes as it was defined last",
  { timeout: HOOK_MS },
  async () => {
    await sleepWell();
    const origin = join(faulty().service.folder, "repositories", "shop.git");
    await mustRun(["git", "-C", origin, "branch", "-D", "feature"]);
    await fetched();
    const woken = await enter("cat kept");
    expect(woken, woken.stderr).toMatchObject({ exitCode: 0, stdout: "mine\n" });
    expect(woken.stderr).toMatch(/the branch feature is not on the forge any more: this environment is as its commit/);
    expect(await get("deployment", "db", "-o", "jsonpath={.spec.replicas}")).toBe("1");
  },
);

test("an environment whose StatefulSet makes no pod says why", { timeout: HOOK_MS }, async () => {
  const { apply, kubectl, namespaceOf } = faulty();
  await sleepWell();
  const namespace = await namespaceOf(LOGIN);
  const metadata = { name: "shut", namespace };
  await apply({ apiVersion: "v1", kind: "ResourceQuota", metadata, spec: { hard: { pods: "0" } } });
  const refused = await enter("true");
  expect([refused.exitCode, refused.stderr]).toEqual([255, expect.stringMatching(/api-0.* exceeded quota: shut/)]);
  await kubectl("-n", namespace, "delete", "resourcequota", "shut");
  expect(await enter("cat kept")).toMatchObject({ exitCode: 0, stdout: "mine\n" });
  expect((await lobby(faulty().service.as("ada"), "rm", LOGIN, "--force")).exitCode).toBe(0);
});
