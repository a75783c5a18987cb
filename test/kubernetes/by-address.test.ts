/**
 * Sessions that go straight to the address of a pod, from a Slipway inside of the cluster: as those by exec, and who else gets
 * to such a pod.
 */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { TestCluster } from "../cluster/open-cluster.ts";
import { breakableCluster } from "../cluster/shared-cluster.ts";
import { until } from "../harness/wait.ts";
import { type InsideService, openInsideService } from "./open-inside-service.ts";

const SLOW = { timeoutMs: 90_000 };
let parts: { readonly cluster: TestCluster; readonly inside: InsideService } | undefined;

beforeAll(async () => {
  const cluster = breakableCluster();
  if (cluster === undefined) return;
  const repositories = { hello: { branches: ["other"], definition: "{}" } };
  parts = { cluster, inside: await openInsideService(cluster, { repositories, cluster: { path: "podIP" } }) };
});

afterAll(async () => {
  await parts?.inside[Symbol.asyncDispose]();
});

beforeEach((context) => {
  if (parts === undefined) context.skip("needs a cluster of our own, whose services this machine reaches");
});

function both(): { readonly cluster: TestCluster; readonly inside: InsideService } {
  if (parts === undefined) throw new Error("Cannot test without a cluster");
  return parts;
}

/** Ways that ended sessions had gone, oldest first. */
async function ways({ events }: Pick<InsideService, "events">): Promise<unknown[]> {
  return (await events("kubernetes.sshd-ended")).map(({ path }) => path);
}

/** The namespace and address of the pod of a login. */
async function podOf({ cluster, inside }: ReturnType<typeof both>, login: string) {
  const environment = (await inside.events("environment.added")).find((added) => added["login"] === login)?.[
    "environment"
  ];
  const namespace = `${inside.namespacePrefix}${String(environment)}`;
  const address = await cluster.kubectl("-n", namespace, "get", "pod", "main", "-o", "jsonpath={.status.podIP}");
  return { namespace, address };
}

test("a session by the address has its output, errors, code and bytes, and the door's end", async () => {
  const { inside } = both();
  const { ada } = inside;
  expect((await ada.ssh(["hello-main@slipway", "true"], SLOW)).exitCode).toBe(0);
  // One that has just started goes by exec until its kubelet has told where it is.
  await until("the address of the pod", async () => (await podOf(both(), "hello-main")).address !== "");
  await until("the end of one session", async () => (await ways(inside)).length === 1);
  const first = await ada.ssh(["hello-main@slipway", "cat; echo no >&2; exit 7"], { ...SLOW, input: "yes\n" });
  expect(first).toMatchObject({ exitCode: 7, stdout: "yes\n" });
  expect(first.stderr).toMatch(/^no$/m);
  const bytes = randomBytes(8 * 2 ** 20);
  const back = await ada.ssh(["hello-main@slipway", "cat"], { ...SLOW, input: bytes });
  expect(back.bytes.equals(bytes)).toBe(true);
  await until("the end of two more", async () => (await ways(inside)).length === 3);
  const ends = (await inside.events("kubernetes.sshd-ended")).slice(1);
  expect(ends).toMatchObject([1, 2].map(() => ({ path: "podIP", type: "exited" })));
  expect(await inside.events("kubernetes.path-failed")).toEqual([]);
});

test("what a session had in the foreground ends with it, and what was put into the background goes on", async () => {
  const { inside } = both();
  const { ada } = inside;
  const script = "nohup sleep 71007 >/dev/null 2>&1 & echo begun; exec sleep 71008";
  const session = ada.startSsh(["hello-main@slipway", script], SLOW);
  await session.untilOutput(/begun/);
  session.kill("SIGKILL");
  const list = async (): Promise<string> => (await ada.ssh(["hello-main@slipway", "ps -eo args || ps"], SLOW)).stdout;
  await until("the end of the foreground", async () => !(await list()).includes("sleep 71008"));
  expect(await list()).toContain("sleep 71007");
});

test("a session ends loudly with the exec that it was asked for by", async () => {
  const { cluster, inside } = both();
  const session = inside.ada.startSsh(["hello-main@slipway", "echo begun; sleep 71009"], SLOW);
  await session.untilOutput(/begun/);
  const beganAt = performance.now();
  await cluster.kill("apiserver");
  try {
    const ended = await session.ended;
    expect(ended.exitCode).toBe(255);
    expect(performance.now() - beganAt).toBeLessThan(10_000);
  } finally {
    await cluster.start("apiserver");
    await cluster.untilReady();
  }
  const list = async (): Promise<string> =>
    (await inside.ada.ssh(["hello-main@slipway", "ps -eo args || ps"], SLOW)).stdout;
  await until("the end of what it ran", async () => !(await list()).includes("sleep 71009"), SLOW.timeoutMs);
});

/** In the gateway's own namespace everybody is restricted. */
const RESTRICTED = {
  ...{ allowPrivilegeEscalation: false, runAsNonRoot: true },
  ...{ capabilities: { drop: ["ALL"] }, seccompProfile: { type: "RuntimeDefault" } },
};

test("a pod is open to Slipway's own pods, and to nobody else outside of its namespace", async () => {
  const { cluster, inside } = both();
  const { ada, namespace } = inside;
  const busybox = "/opt/slipway/bin/busybox";
  const serve = `mkdir /tmp/www && echo mine >/tmp/www/index.html && ${busybox} httpd -p 8099 -h /tmp/www`;
  expect(await ada.ssh(["hello-main@slipway", serve], SLOW)).toMatchObject({ exitCode: 0 });
  const { address } = await podOf(both(), "hello-main");
  const url = `http://${address}:8099/index.html`;
  const ask = `fetch("${url}", { signal: AbortSignal.timeout(3000) }).then(async (it) => console.log(await it.text()), () => console.log("no"))`;
  const fromGateway = await cluster.kubectl("-n", namespace, "exec", "deployment/slipway", "--", "node", "-e", ask);
  expect(fromGateway.trim()).toBe("mine");
  const other = await ada.ssh(["hello-other@slipway", `${busybox} wget -q -T 3 -O - ${url} || echo no`], SLOW);
  expect(other).toMatchObject({ exitCode: 0, stdout: "no\n" });
  const container = {
    name: "one",
    image: "slipway/gateway:test",
    command: ["node", "-e", ask],
    securityContext: RESTRICTED,
  };
  const passerBy = {
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "passer-by", namespace } },
    spec: { restartPolicy: "Never", containers: [container] },
  };
  await cluster.kubectlWith(JSON.stringify(passerBy), "apply", "-f", "-");
  const phase = () => cluster.kubectl("-n", namespace, "get", "pod", "passer-by", "-o", "jsonpath={.status.phase}");
  await until("the end of a passer-by", async () => (await phase()) === "Succeeded", SLOW.timeoutMs);
  expect(await cluster.kubectl("-n", namespace, "logs", "passer-by")).toBe("no\n");
});

test("where the network lets nobody through sessions go by exec at once, and nobody fails", async () => {
  const { cluster, inside } = both();
  const { namespace } = await podOf(both(), "hello-main");
  const closed = { spec: { ingress: [{ from: [{ podSelector: {} }] }] } };
  await cluster.kubectl(
    "-n",
    namespace,
    "patch",
    "networkpolicy",
    "slipway",
    "--type=merge",
    `--patch=${JSON.stringify(closed)}`,
  );
  const before = (await ways(inside)).length;
  const enter = () => inside.ada.ssh(["hello-main@slipway", "echo in"], SLOW);
  const isClosed = async (): Promise<boolean> => {
    expect(await enter()).toMatchObject({ exitCode: 0, stdout: "in\n" });
    return (await inside.events("kubernetes.path-failed")).length > 0;
  };
  await until("a failure", isClosed, SLOW.timeoutMs);
  expect(await enter()).toMatchObject({ exitCode: 0, stdout: "in\n" });
  await until("the end of the last session", async () => (await ways(inside)).length >= before + 2);
  expect((await ways(inside)).slice(-2)).toEqual(["exec", "exec"]);
  expect(await inside.events("kubernetes.path-failed")).toHaveLength(1);
  // It is this pod's alone: others are tried still.
  expect(await inside.metrics()).toContain('slipway_cluster_path{cluster="here",path="podIP"} 1');
});
