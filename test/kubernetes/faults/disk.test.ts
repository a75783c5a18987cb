/**
 * Disks that are full: that of the node, to which no pod goes any more, and the volume of one environment.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { breakableCluster } from "../../cluster/shared-cluster.ts";
import type { TestCluster } from "../../cluster/open-cluster.ts";
import { until } from "../../harness/wait.ts";
import { HOOK_MS, lobby, openFaulty, SLOW_MS, tellLog, untilNoneLeft } from "./use-faulty.ts";

const NOT_OURS = "this test sets up parts of a cluster that we make, and this one is given";

/** From the moment a login waits for a node: the service is silent about what may still pass in less. */
const TOLD_MS = 20_000;

test(
  "a node out of disk is told to those who wait for it, and they get in as soon as it has room",
  { timeout: 2 * HOOK_MS },
  async ({ skip, annotate }) => {
    const cluster = breakableCluster();
    if (cluster === undefined) return skip(NOT_OURS);
    const faulty = await openFaulty({ repositories: { plain: { definition: "{}", branches: ["other"] } } });
    await using service = faulty.service;
    tellLog(service);
    const ada = service.as("ada");
    expect((await ada.ssh(["plain-main@slipway", "echo mine >kept"], { timeoutMs: SLOW_MS })).exitCode).toBe(0);
    expect((await lobby(ada, "sleep", "plain-main")).exitCode).toBe(0);
    const isFull = async (): Promise<boolean> =>
      (await faulty.kubectl("get", "node", cluster.layout.nodeName, "-o", "jsonpath={.spec.taints}")).includes(
        "node.kubernetes.io/disk-pressure",
      );
    const giveRoom = await takeRoom(cluster);
    try {
      await until("the node to be full", isFull, SLOW_MS);
      // One that slept and one that is new.
      const logins = ["plain-main", "plain-other"].map((login) => {
        const session = ada.startSsh([`${login}@slipway`, "cat kept 2>/dev/null; echo in"], { timeoutMs: HOOK_MS });
        return { login, session, since: performance.now() };
      });
      for (const { login, session, since } of logins) {
        const told = /waiting: no node can take it: .*disk-pressure.*/;
        const [sentence] = await session.untilError(told, TOLD_MS);
        await annotate(`${login} was told after ${Math.round(performance.now() - since)} ms: ${sentence}`);
      }
      await giveRoom();
      const [main, other] = await Promise.all(logins.map(({ session }) => session.ended));
      expect(main).toMatchObject({ exitCode: 0, stdout: "mine\nin\n" });
      expect(other).toMatchObject({ exitCode: 0, stdout: "in\n" });
    } finally {
      await giveRoom();
    }
    await until("the node to have room", async () => !(await isFull()), SLOW_MS);
  },
);

/**
 * Has the kubelet say that its disk is full, which it is by another measure: what it would keep free is more than there is. The
 * measure is a soft one of a long grace, or it would throw the images away that all other tests need.
 *
 * @returns a function that puts it back
 */
async function takeRoom(cluster: TestCluster): Promise<() => Promise<void>> {
  const path = join(cluster.layout.config, "kubelet.json");
  const before = readFileSync(path, "utf8");
  const soft = { evictionSoft: { "nodefs.available": "99%" }, evictionSoftGracePeriod: { "nodefs.available": "1h" } };
  const begin = async (text: string): Promise<void> => {
    writeFileSync(path, text);
    await cluster.kill("kubelet");
    await cluster.start("kubelet");
  };
  await begin(JSON.stringify({ ...(JSON.parse(before) as object), ...soft }));
  return async () => {
    if (readFileSync(path, "utf8") !== before) await begin(before);
  };
}

test(
  "an environment whose volume is full says so to programs alone: it is entered, sleeps, wakes and goes like any other",
  { timeout: HOOK_MS },
  async ({ skip }) => {
    if (breakableCluster() === undefined) return skip(NOT_OURS);
    const faulty = await openFaulty({
      repositories: { plain: { definition: "{}" } },
      cluster: { workspace: { size: "64MiB", storageClass: "sized" } },
    });
    await using service = faulty.service;
    tellLog(service);
    const ada = service.as("ada");
    const enter = (line: string) => ada.ssh(["plain-main@slipway", line], { timeoutMs: SLOW_MS });
    const full = await enter("echo mine >kept; head -c 200M /dev/zero >big; echo $?; df -k . | tail -n 1");
    expect(full.stderr).toMatch(/No space left on device/);
    expect(full.stdout).toMatch(/^1\n.* 100% /);

    const stillIn = await enter("cat kept; touch new 2>/dev/null; git log -1 --format=%s");
    expect(stillIn).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^mine\n/) as unknown });
    expect((await lobby(ada, "sleep", "plain-main")).exitCode).toBe(0);
    expect(await enter("cat kept; rm big; echo more >kept && cat kept")).toMatchObject({
      exitCode: 0,
      stdout: "mine\nmore\n",
    });
    expect((await lobby(ada, "rm", "plain-main", "--force")).exitCode).toBe(0);
    await untilNoneLeft(faulty);
  },
);
