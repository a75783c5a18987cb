import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { breakableCluster } from "../cluster/shared-cluster.ts";
import { until } from "../harness/wait.ts";
import { type InsideService, openInsideService } from "./open-inside-service.ts";

const SLOW = { timeoutMs: 90_000 };
const Took = z.object({ tookMs: z.object({ exec: z.number(), podIP: z.number() }) });
const folder = mkdtempSync(join(tmpdir(), "slipway-in-cluster-"));
let opened: InsideService | undefined;

beforeAll(async () => {
  const cluster = breakableCluster();
  if (cluster === undefined) return;
  opened = await openInsideService(cluster, { settings: { pools: { hello: { repository: "hello", size: 1 } } } });
});

afterAll(async () => {
  await opened?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

beforeEach((context) => {
  if (opened === undefined) context.skip("needs a cluster of our own, whose services this machine reaches");
});

function service(): InsideService {
  if (opened === undefined) throw new Error("Cannot test without a cluster");
  return opened;
}

test("what slip install kubernetes prints runs: stock ssh and sftp enter a new environment", async () => {
  const { ada } = service();
  const first = await ada.ssh(["hello-main@slipway", "git status --porcelain && id -u && echo in"], SLOW);
  expect(first).toMatchObject({ exitCode: 0, stdout: "1000\nin\n" });
  const [sent, back] = [join(folder, "sent"), join(folder, "back")];
  writeFileSync(sent, "a file\n".repeat(100_000));
  const copied = await ada.sftp("hello-main", [`put ${sent} copy`, `get copy ${back}`]);
  expect(copied).toMatchObject({ exitCode: 0 });
  expect(readFileSync(back, "utf8")).toBe(readFileSync(sent, "utf8"));
});

test("sessions go by the address of the pod once that was measured to be better", async () => {
  const { ada, ...inside } = service();
  const ways = async () => (await inside.events("kubernetes.sshd-ended")).map(({ path }) => path);
  const isChosen = async (): Promise<boolean> => {
    expect(await ada.ssh(["hello-main@slipway", "true"], SLOW)).toMatchObject({ exitCode: 0 });
    return (await inside.events("kubernetes.path-chosen")).length > 0;
  };
  await until("a choice", isChosen, SLOW.timeoutMs);
  expect(await ways()).toEqual(expect.arrayContaining(["exec", "podIP"]));
  expect(await inside.events("kubernetes.path-failed")).toEqual([]);
  const [chosen] = await inside.events("kubernetes.path-chosen");
  const { exec, podIP } = Took.parse(chosen?.["because"]).tookMs;
  expect(chosen?.["path"]).toBe(podIP <= exec * 1.25 ? "podIP" : "exec");
  expect(await inside.metrics()).toContain(`slipway_cluster_path{cluster="here",path="${String(chosen?.["path"])}"} 1`);
});

test("the rights of the printed role do for pools, sleep, waking and removal", async () => {
  const inside = service();
  const { ada } = inside;
  const isFilled = async (): Promise<boolean> => (await inside.slip("pool", "ls")).includes("\t1/1 ready\t");
  await until("a member of the pool", isFilled, SLOW.timeoutMs);
  const login = "hello-feature-greeting";
  const claimed = await ada.ssh([`${login}@slipway`, "echo kept >note"], SLOW);
  expect(claimed).toMatchObject({ exitCode: 0 });
  expect(claimed.stderr).toContain("claiming a prepared environment");
  expect(await ada.lobby("sleep", login)).toMatchObject({ exitCode: 0 });
  expect(await ada.ssh([`${login}@slipway`, "cat note"], SLOW)).toMatchObject({ exitCode: 0, stdout: "kept\n" });
  for (const one of ["hello-main", login]) {
    // A namespace takes 20 s and more to go on an old server.
    expect(await ada.ssh(["slip@slipway", "rm", one, "--force"], SLOW)).toMatchObject({ exitCode: 0 });
  }
  expect(await inside.slip("check", "--online", "--settings", "/etc/slipway/slipway.yaml")).toMatch(/^here\tok\tv1\./m);
  // Whatever may not be done is logged with this code.
  expect(await inside.log()).not.toContain("cluster.forbidden");
});
