/**
 * What happens to pods while people are in them: deleted, evicted by their kubelet, replaced by their workload. Sessions end
 * loudly, and the next login is in an environment that works.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { until } from "../../harness/wait.ts";
import { HOOK_MS, lobby, SLOW_MS, useFaulty } from "./use-faulty.ts";

const EXAMPLES = join(import.meta.dirname, "../../../examples");
const kustomization = readFileSync(join(EXAMPLES, "hello-kubernetes/k8s/kustomization.yaml"), "utf8");
const faulty = useFaulty({
  cluster: { workspace: { scratch: "64MiB" } },
  repositories: {
    plain: { definition: "{}" },
    shop: { example: "hello-kubernetes", files: { "k8s/kustomization.yaml": kustomization.replace("0.1.0", "test") } },
  },
});

/** A session ends in less after its pod did. */
const LOUD_MS = 3_000;

/** Deletes the pod of an environment, once its kubelet has seen it run: an old one lets others run on for 80 s. */
async function deletePod(namespace: string): Promise<void> {
  const { kubectl } = faulty();
  const pod = ["-n", namespace, "pod", "-l", "slipway.dev/target=true"] as const;
  await kubectl("wait", "--for=condition=Ready", ...pod);
  await kubectl("delete", "--wait=false", ...pod);
}

test(
  "a session whose pod is deleted in the middle of a transfer ends loudly, and the next one has its files",
  { timeout: HOOK_MS },
  async () => {
    const { service, namespaceOf } = faulty();
    const ada = service.as("ada");
    expect((await ada.ssh(["plain-main@slipway", "echo mine >kept"], { timeoutMs: SLOW_MS })).exitCode).toBe(0);
    const transfer = ada.startSsh(["plain-main@slipway", "echo begun; cat /dev/zero"], { timeoutMs: SLOW_MS });
    await transfer.untilOutput(/begun/);
    const namespace = await namespaceOf("plain-main");
    await deletePod(namespace);
    const since = performance.now();
    const ended = await transfer.ended;
    const tookMs = performance.now() - since;
    process.stderr.write(`pods: a session ended ${Math.round(tookMs)} ms after its pod was deleted\n`);
    expect(tookMs).toBeLessThan(LOUD_MS);
    expect(ended.exitCode).toBe(255);
    expect(ended.stderr).toMatch(/the environment ended this session/);
    const next = await ada.ssh(["plain-main@slipway", "cat kept"], { timeoutMs: SLOW_MS });
    expect(next).toMatchObject({ exitCode: 0, stdout: "mine\n" });
    expect(await faulty().namespaces()).toEqual([namespace]);
  },
);

test(
  "the toolbox's container that is killed is there again, and nobody inside notices",
  { timeout: HOOK_MS },
  async () => {
    const { service, kubectl, namespaceOf } = faulty();
    const ada = service.as("ada");
    const session = ada.startSsh(["plain-main@slipway", "echo begun; read -r line; echo $line"], {
      timeoutMs: SLOW_MS,
    });
    await session.untilOutput(/begun/, SLOW_MS);
    const namespace = await namespaceOf("plain-main");
    const look = async (path: string): Promise<string> =>
      kubectl(
        "-n",
        namespace,
        "get",
        "pod",
        "main",
        "-o",
        `jsonpath={.status.containerStatuses[?(@.name=="slipway-toolbox")]${path}}`,
      );
    await until("the toolbox to be seen", async () => (await look(".state.running.startedAt")) !== "");
    const kill = ["exec", "main", "-c", "slipway-toolbox", "--", "/opt/slipway/bin/busybox", "kill", "1"];
    // The program that kills it may die with it.
    await kubectl("-n", namespace, ...kill).catch(() => "");
    const isBack = async (): Promise<boolean> =>
      (await look(".restartCount")) === "1" && (await look(".state.running.startedAt")) !== "";
    await until("the toolbox to be there again", isBack, SLOW_MS);
    expect(await ada.ssh(["plain-main@slipway", "echo new"], { timeoutMs: SLOW_MS })).toMatchObject({
      stdout: "new\n",
    });
    session.stdin.write("on\n");
    expect(await session.ended).toMatchObject({ exitCode: 0, stdout: "begun\non\n" });
  },
);

test("a login while the pod is still on its way out gets the next one", { timeout: HOOK_MS }, async () => {
  const { service, kubectl, namespaceOf } = faulty();
  const ada = service.as("ada");
  expect((await ada.ssh(["plain-main@slipway", "true"], { timeoutMs: SLOW_MS })).exitCode).toBe(0);
  const namespace = await namespaceOf("plain-main");
  // Somebody's finalizer keeps it for a while, as a slow end would.
  const finalizers = (list: readonly string[]): string => JSON.stringify({ metadata: { finalizers: list } });
  const patch = async (list: readonly string[]): Promise<string> =>
    kubectl("-n", namespace, "patch", "pod", "main", "--type=merge", "-p", finalizers(list));
  await patch(["slipway.test/slow"]);
  await deletePod(namespace);
  const login = ada.startSsh(["plain-main@slipway", "echo in"], { timeoutMs: SLOW_MS });
  await until("the start to wait", () => service.events("environment.died").length > 0, SLOW_MS);
  await patch([]);
  expect(await login.ended).toMatchObject({ exitCode: 0, stdout: "in\n" });
});

// That of a Deployment stays beside the next one, and was taken for it: the first login after it failed.
test.each(["plain-main", "shop-main"])(
  "%s, evicted for writing more than a container may to the disk of its node, is there again at the next login, files and all",
  { timeout: HOOK_MS },
  async (name) => {
    const { service, kubectl, namespaceOf } = faulty();
    const ada = service.as("ada");
    const login = `${name}@slipway`;
    expect((await ada.ssh([login, "echo mine >kept"], { timeoutMs: SLOW_MS })).exitCode).toBe(0);
    const fill = "head -c 300M /dev/zero >/tmp/full; echo filled; sleep 1000";
    const session = ada.startSsh([login, fill], { timeoutMs: SLOW_MS });
    await session.untilOutput(/filled/, SLOW_MS);
    const ended = await session.ended;
    expect(ended.exitCode).toBe(255);
    expect(ended.stderr).toMatch(/the environment ended this session/);
    const reasons = await kubectl(
      "-n",
      await namespaceOf(name),
      "get",
      "pod",
      "-o",
      "jsonpath={.items[*].status.reason}",
    );
    expect(reasons).toBe("Evicted");
    const next = await ada.ssh([login, "cat kept; ls /tmp"], { timeoutMs: SLOW_MS });
    expect(next).toMatchObject({ exitCode: 0, stdout: "mine\n" });
    expect((await lobby(ada, "rm", name, "--force")).exitCode).toBe(0);
  },
);

test("the pod of a Deployment that was replaced is set up again at the next login", { timeout: HOOK_MS }, async () => {
  const { service, namespaceOf } = faulty();
  const ada = service.as("ada");
  const look = "cat kept 2>/dev/null; git config user.name; wget -qO- http://127.0.0.1:8080/ | head -c 1";
  const made = await ada.ssh(["shop-main@slipway", "echo mine >kept"], { timeoutMs: SLOW_MS });
  expect(made.exitCode).toBe(0);
  const session = ada.startSsh(["shop-main@slipway", "echo up; sleep 1000"], { timeoutMs: SLOW_MS });
  await session.untilOutput(/up/);
  const namespace = await namespaceOf("shop-main");
  await deletePod(namespace);
  expect((await session.ended).exitCode).toBe(255);
  const next = await ada.ssh(["shop-main@slipway", look], { timeoutMs: SLOW_MS });
  expect(next).toMatchObject({ exitCode: 0, stdout: "mine\nada\n<" });
});
