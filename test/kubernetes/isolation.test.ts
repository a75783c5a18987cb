/**
 * What a person who is in a pod can reach and do beyond it: nothing. `test/interop/isolation.test.ts` is the same for environments
 * on this machine.
 *
 * The network is held by the cluster, so this needs one whose network enforces policies, as that of the tests does.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LABELS, personLabel } from "../../src/policy/kubernetes/labels.ts";
import type { ClusterApi } from "../../src/runtime/kubernetes/api/cluster-api.ts";
import { type KubernetesObject, kinds } from "../../src/wire/kubernetes.ts";
import type { Ended } from "../harness/program.ts";
import { HOST_SECRET, type TestService } from "../harness/service.ts";
import { openClusterService } from "./open-cluster-service.ts";
import { openApi } from "./use-cluster.ts";

const SHOP = join(import.meta.dirname, "../../examples/hello-kubernetes/k8s");
const STOLEN = `{ app: api, "${LABELS.environment}": stolen, "${LABELS.target}": "false" }`;
const soon = (): AbortSignal => AbortSignal.timeout(60_000);

let service: TestService;
let api: ClusterApi;

beforeAll(async () => {
  const read = (name: string): string => readFileSync(join(SHOP, name), "utf8");
  const files = {
    "k8s/kustomization.yaml": read("kustomization.yaml").replace('"0.1.0"', "test"),
    "k8s/api.yaml": read("api.yaml").replace("labels: { app: api }", `labels: ${STOLEN}`),
  };
  service = await openClusterService({
    image: "slipway/sample-development:test",
    repositories: { hello: {}, shop: { example: "hello-kubernetes", files } },
  });
  api = await openApi();
  await Promise.all(["ada", "bob"].map((person) => enter(person, "true")));
  // On all addresses of bob's pod, for ada to find.
  const listen = `require("node:net").createServer((socket) => socket.end("hello")).listen(4801, "0.0.0.0")`;
  await enter("bob", `setsid node -e '${listen}' </dev/null >/dev/null 2>&1 & sleep 1`);
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

const enter = async (person: string, line: string, input = ""): Promise<Ended> =>
  service.as(person).ssh(["hello-main@slipway", line], { input, timeoutMs: 60_000 });

async function sh(person: string, line: string): Promise<string> {
  const { stdout, stderr } = await enter(person, line);
  return `${stdout}${stderr}`.trimEnd();
}

async function namespaceOf(person: string): Promise<KubernetesObject> {
  const labelSelector = `${LABELS.environment}=${await sh(person, "echo $SLIPWAY_ENVIRONMENT")}`;
  const [namespace] = await api.list(kinds.namespace, { labelSelector }, soon());
  if (namespace === undefined) throw new Error(`Cannot find the namespace of ${person}: there is none`);
  return namespace;
}

/** Dials every one of `targets` for two seconds at most, and prints what came of each: its first bytes, or which end. */
const DIAL_ALL = `
import { connect } from "node:net";
const dial = (target) => new Promise((tell) => {
  const socket = connect(target).on("data", (data) => tell(String(data))).on("error", () => tell("unreached"));
  setTimeout(() => { tell(socket.connecting ? "unreached" : "connected"); socket.destroy(); }, 2_000);
});
console.log(JSON.stringify(await Promise.all(targets.map(dial))));
`;

async function dialAll(person: string, targets: readonly { host: string; port: number }[]): Promise<unknown> {
  const program = `const targets = ${JSON.stringify(targets)};${DIAL_ALL}`;
  const { stdout, stderr } = await enter(person, "node --input-type=module -", program);
  if (stdout === "") throw new Error(`Cannot dial: ${stderr}`);
  return JSON.parse(stdout);
}

test("a pod reaches neither other environments, nor the API server, the kubelet or the metadata of a cloud", async () => {
  const bobs = { host: await sh("bob", "hostname -i"), port: 4801 };
  const kubernetes = await api.read({ of: kinds.service, namespace: "default", name: "kubernetes" }, soon());
  const { clusterIP } = kubernetes?.["spec"] as { clusterIP: string };
  const pod = await api.read(
    { of: kinds.pod, namespace: (await namespaceOf("ada")).metadata.name, name: "main" },
    soon(),
  );
  const { hostIP } = pod?.["status"] as { hostIP: string };
  const dns = /nameserver (\S+)/.exec(await sh("ada", "cat /etc/resolv.conf"))?.[1] ?? "";
  const closed = [
    bobs,
    { host: clusterIP, port: 443 },
    { host: hostIP, port: 6443 },
    { host: hostIP, port: 10_250 },
    { host: "169.254.169.254", port: 80 },
  ];
  // That it can dial at all, and that bob's server is there, is shown beside.
  const seen = await dialAll("ada", [{ host: dns, port: 53 }, ...closed]);
  expect(seen).toEqual(["connected", ...closed.map(() => "unreached")]);
  expect(await dialAll("bob", [bobs])).toEqual(["hello"]);
});

test("a pod has names looked up", async () => {
  const look = `require("node:dns").promises.lookup("kubernetes.default.svc.cluster.local").then((found) => console.log(found.address))`;
  expect(await sh("ada", `node -e '${look}'`)).toMatch(/^[\d.]+$/);
});

test("a pod has no credentials of the cluster and no variable of the service", async () => {
  expect(await sh("ada", "ls /var/run/secrets /run/secrets")).not.toMatch(/kubernetes/);
  expect(await sh("ada", "env; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'")).not.toMatch(
    new RegExp(`${HOST_SECRET}|SLIPWAY_HOME`),
  );
});

test("a person in a pod has no privilege, and no program gives them one", async () => {
  const status = await sh("ada", "id -u; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status");
  const none = ["Inh", "Prm", "Eff", "Bnd", "Amb"].map((set) => `Cap${set}:\t0000000000000000`);
  expect(status.split("\n")).toEqual(["1000", ...none, "NoNewPrivs:\t1", "Seccomp:\t2"]);
  expect(await sh("ada", "mount -t tmpfs none /mnt || echo refused")).toContain("refused");
  expect(await sh("ada", "echo 1 >/proc/sys/kernel/panic || echo refused")).toContain("refused");
});

test("the tools in a pod cannot be changed", async () => {
  expect(await sh("ada", "touch /opt/slipway/bin/git /opt/slipway/mine")).toMatch(
    /git.*Read-only file system\n.*mine.*Read-only file system/,
  );
});

test("a namespace is restricted, its person's, and has a quota that holds", async () => {
  const { metadata } = await namespaceOf("ada");
  expect(metadata.labels).toMatchObject({
    "pod-security.kubernetes.io/enforce": "restricted",
    [LABELS.person]: personLabel("ada"),
    [LABELS.environment]: await sh("ada", "echo $SLIPWAY_ENVIRONMENT"),
  });
  const hungry = {
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "hungry", namespace: metadata.name } },
    spec: { containers: [{ name: "main", image: "none", resources: { limits: { cpu: "64", memory: "1Ti" } } }] },
  };
  await expect(api.apply(kinds.pod, hungry, soon())).rejects.toThrow(/maximum cpu usage|exceeded quota/);
  const open = {
    ...{ apiVersion: "v1", kind: "Service", metadata: { name: "open", namespace: metadata.name } },
    spec: { type: "NodePort", ports: [{ port: 80, protocol: "TCP" }], selector: {} },
  };
  await expect(api.apply(kinds.service, open, soon())).rejects.toThrow(/exceeded quota/);
});

test("labels of ours in people's manifests do not count", async () => {
  const ended = await service.as("ada").ssh(["shop-main@slipway", "echo $SLIPWAY_ENVIRONMENT"], { timeoutMs: 90_000 });
  const environment = ended.stdout.trim();
  expect(ended.stderr).toContain(LABELS.environment);
  expect(await api.list(kinds.pod, { labelSelector: `${LABELS.environment}=stolen` }, soon())).toEqual([]);
  const pods = await api.list(kinds.pod, { labelSelector: `${LABELS.environment}=${environment},app=api` }, soon());
  expect(pods.map(({ metadata }) => metadata.labels?.[LABELS.target])).toEqual(["true"]);
});
