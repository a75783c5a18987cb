import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test, type TestContext } from "vitest";

import { mustRun, run } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { COMPONENTS } from "./components.ts";
import { openCluster, type TestCluster } from "./open-cluster.ts";
import { importProbe, PROBE_IMAGE } from "./probe-image.ts";
import { breakableCluster } from "./shared-cluster.ts";

const space = `cluster-test-${randomBytes(3).toString("hex")}`;
let cluster: TestCluster;

beforeAll(async () => {
  const own = breakableCluster();
  if (own === undefined) return;
  cluster = own;
  await importProbe(cluster);
  await cluster.kubectl("create", "namespace", space);
  await until("the account of pods", async () => {
    return (await cluster.kubectl("-n", space, "get", "serviceaccounts")).includes("default");
  });
  await make(pod("server", { app: "server" }), SERVICE, CLAIM, pod("writer", {}, WITH_VOLUME), pod("client", {}));
  await kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s");
});

beforeEach((context: TestContext) => {
  if (breakableCluster() === undefined)
    context.skip("these tests are of the cluster that we make, and this one is given");
});

afterAll(async () => {
  if (breakableCluster() !== undefined) await cluster.kubectl("delete", "namespace", space, "--wait=false");
});

/** Answers each connection with a line. */
const SERVE = "exec busybox nc -ll -p 8080 -e /bin/busybox echo hello";
const SERVICE = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "server" },
  spec: { selector: { app: "server" }, ports: [{ port: 80, targetPort: 8080 }] },
};
const CLAIM = {
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name: "data" },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
};
const WITH_VOLUME = {
  securityContext: { runAsUser: 1000, runAsGroup: 1000, fsGroup: 4242 },
  volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data" } }],
};

function pod(name: string, labels: Record<string, string>, spec: object = {}): object {
  const volumeMounts = "volumes" in spec ? [{ name: "data", mountPath: "/data", subPath: "below" }] : [];
  const command = ["bash", "-c", name === "server" ? SERVE : "exec busybox sleep 2147483647"];
  const container = { name: "only", image: PROBE_IMAGE, imagePullPolicy: "Never", command, volumeMounts };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels },
    spec: { terminationGracePeriodSeconds: 0, containers: [container], ...spec },
  };
}

async function make(...objects: readonly object[]): Promise<void> {
  await cluster.kubectlWith(
    JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }),
    "-n",
    space,
    "apply",
    "-f-",
  );
}

async function kubectl(...args: readonly string[]): Promise<string> {
  return cluster.kubectl("-n", space, ...args);
}

async function inPod(name: string, line: string): Promise<string> {
  return kubectl("exec", name, "--", "bash", "-c", line);
}

/** What a pod hears from an address: "hello", or nothing. */
async function hears(name: string, address: string, port: number): Promise<string> {
  const line = `busybox timeout 2 bash -c 'exec 3<>/dev/tcp/${address}/${port} && busybox head -1 <&3' 2>/dev/null || :`;
  return (await inPod(name, line)).trim();
}

async function addressOf(name: string): Promise<string> {
  return kubectl("get", "pod", name, "-o", "jsonpath={.status.podIP}");
}

test("a pod runs, and its neighbour reaches it by the name of a service", async () => {
  expect(await hears("client", "server", 80)).toBe("hello");
  expect(await hears("client", `server.${space}.svc.cluster.local`, 80)).toBe("hello");
});

test("a pod reaches itself by the name of its service", async () => {
  // By the short name it would find itself in its hosts file.
  expect(await hears("server", `server.${space}.svc.cluster.local`, 80)).toBe("hello");
});

test("a name is forgotten with its service", async () => {
  await make({ ...SERVICE, metadata: { name: "brief" } });
  await until("the name", async () => (await hears("client", "brief", 80)) === "hello");
  await kubectl("delete", "service", "brief");
  await until("the end of the name", async () => {
    const answer = await inPod("client", `busybox nslookup brief.${space}.svc.cluster.local || :`);
    return answer.includes("NXDOMAIN");
  });
});

test("the host reaches pods and services", async () => {
  const service = await kubectl("get", "service", "server", "-o", "jsonpath={.spec.clusterIP}");
  for (const [address, port] of [
    [await addressOf("server"), "8080"],
    [service, "80"],
  ] as const) {
    expect(await mustRun(["busybox", "nc", "-w", "3", address, port])).toBe("hello\n");
  }
});

test("the API is at the address that pods are told", async () => {
  const line = "exec 3<>/dev/tcp/$KUBERNETES_SERVICE_HOST/$KUBERNETES_SERVICE_PORT && echo open";
  expect(await inPod("client", line)).toBe("open\n");
});

test("nothing leaves the machine", async () => {
  expect(await inPod("client", "echo > /dev/tcp/169.254.169.254/80 || :")).toBe("");
  const routes = await cluster.onNode("ip", "route", "show", "default");
  expect(routes.trim()).toMatch(/^unreachable default/);
});

test("a claim gets a volume that its pod's group can write to, also by a path below", async () => {
  await inPod("writer", "echo kept > /data/file");
  expect(await inPod("writer", "busybox stat -c '%u %g' /data/file; busybox cat /data/file")).toBe("1000 4242\nkept\n");
  expect(await kubectl("get", "pvc", "data", "-o", "jsonpath={.status.phase}")).toBe("Bound");
});

test("a policy that denies all holds, and one that allows some opens for them alone", async () => {
  const server = await addressOf("server");
  await make(pod("friend", { role: "friend" }));
  await kubectl("wait", "--for=condition=Ready", "pod/friend", "--timeout=60s");
  await make(policy("deny", {}, { policyTypes: ["Ingress"] }));
  await until("the policy", async () => (await hears("client", server, 8080)) === "");
  expect(await hears("friend", "server", 80)).toBe("");
  const from = [{ podSelector: { matchLabels: { role: "friend" } } }];
  const allowed = { policyTypes: ["Ingress"], ingress: [{ from, ports: [{ port: 8080 }] }] };
  await make(policy("friends", { matchLabels: { app: "server" } }, allowed));
  await until("the second policy", async () => (await hears("friend", "server", 80)) === "hello");
  expect(await hears("client", server, 8080)).toBe("");
  await kubectl("delete", "networkpolicy", "deny", "friends");
  await until("the end of the policies", async () => (await hears("client", server, 8080)) === "hello");
});

test("a policy for what goes out holds from a pod's first moment", async () => {
  const server = await addressOf("server");
  const to = [{ ipBlock: { cidr: "0.0.0.0/0", except: [cluster.layout.podRange] } }];
  await make(policy("out", { matchLabels: { role: "shut" } }, { policyTypes: ["Egress"], egress: [{ to }] }));
  const line = `exec 2>&-; busybox timeout 2 bash -c 'echo > /dev/tcp/${server}/8080' && echo out || echo shut; exec busybox sleep 9999`;
  const shut = pod(
    "shut",
    { role: "shut" },
    { containers: [{ name: "only", image: PROBE_IMAGE, command: ["bash", "-c", line] }] },
  );
  await make(shut);
  await until("what it said", async () => (await logsOf("shut")) !== "", 30_000);
  expect(await logsOf("shut")).toBe("shut\n");
  await kubectl("delete", "networkpolicy", "out");
});

function policy(name: string, podSelector: object, spec: object): object {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name },
    spec: { podSelector, ...spec },
  };
}

async function logsOf(name: string): Promise<string> {
  const ended = await run(["kubectl", `--kubeconfig=${cluster.kubeconfig}`, "-n", space, "logs", name]);
  return ended.stdout;
}

test.each(COMPONENTS)("the cluster is whole again after kill -9 of %s", async (component) => {
  const before = cluster.pidOf(component);
  await cluster.kill(component);
  expect(cluster.isRunning(component)).toBe(false);
  await cluster.start(component);
  expect(cluster.pidOf(component)).not.toBe(before);
  await cluster.untilReady();
  const name = `after-${component}`;
  // Whatever was just killed: a pod can be made, reached and entered again.
  await until(
    "a pod",
    async () => {
      await make(pod(name, { app: name }));
      await kubectl("wait", "--for=condition=Ready", `pod/${name}`, "--timeout=30s");
      return (await hears(name, "server", 80)) === "hello";
    },
    60_000,
  );
});

test("openCluster() makes a second cluster beside the first, and leaves nothing of it", async () => {
  const name = `second-${randomBytes(3).toString("hex")}`;
  {
    await using second = await openCluster({ name });
    expect(second.layout.server).not.toBe(cluster.layout.server);
    expect(await second.kubectl("get", "nodes", "-o", "name")).toBe(`node/${name}\n`);
    expect(await second.kubectl("get", "namespaces", "-o", "name")).not.toContain(space);
    expect(await cluster.kubectl("get", "nodes", "-o", "name")).toBe(`node/${cluster.layout.nodeName}\n`);
  }
  expect(await mustRun(["ip", "route"])).not.toContain(`slipway-cluster/${name}`);
  const processes = await mustRun(["ps", "-eo", "args"]);
  expect(processes.split("\n").filter((words) => words.includes(`slipway-cluster/${name}`))).toEqual([]);
  expect(await mustRun(["cat", "/proc/self/mounts"])).not.toContain(name);
});
