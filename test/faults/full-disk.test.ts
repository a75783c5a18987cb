/**
 * The disk under the state folder is full: people are told so, nothing half made stays, nobody gets in unrecorded, and
 * all goes on once there is room.
 *
 * @module
 */
import { mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { whyNoService } from "../harness/needs.ts";
import { mustRun } from "../harness/program.ts";
import { openTestService, type TestService } from "../harness/service.ts";
import { until } from "../harness/wait.ts";

const lacks = whyNoService();
const folder = mkdtempSync(join(tmpdir(), "slipway-full-"));
let opened: TestService | undefined;
const service = (): TestService => opened!;

beforeAll(async () => {
  if (lacks !== undefined) return;
  await mustRun(["mount", "-t", "tmpfs", "-o", "size=6m", "none", folder]);
  opened = await openTestService({
    stateFolder: folder,
    repositories: { hello: { branches: ["a", "b"] }, big: { fileCount: 3_000 } },
    mayLogErrors: true,
  });
});
beforeEach((ctx) => {
  if (lacks !== undefined) ctx.skip(lacks);
});
afterAll(async () => {
  freeDisk();
  await opened?.[Symbol.asyncDispose]();
  if (opened !== undefined) await mustRun(["umount", folder]);
  rmSync(folder, { recursive: true });
}, 30_000);

function fillDisk(): void {
  for (let number = 0, bytes = 2 ** 20; bytes >= 4_096; number++) {
    try {
      writeFileSync(join(folder, `fill-${number}`), Buffer.alloc(bytes));
    } catch {
      bytes /= 2; // what was written stays
    }
  }
  expect(statfsSync(folder).bavail).toBe(0);
}

function freeDisk(): void {
  for (const name of readdirSync(folder).filter((file) => file.startsWith("fill-"))) rmSync(join(folder, name));
}

const environments = (): string[] => readdirSync(join(folder, "environments"));

/** Takes up what room the last page of the audit log has. */
async function isStuck(): Promise<boolean> {
  const waiting = service().as("ada").startSsh(["slip@slipway", "ls"], { timeoutMs: 20_000 });
  const stuck = waiting.untilError(/waiting for the audit log/).then(() => true);
  return Promise.race([stuck, waiting.ended.then(() => false)]).catch(() => false);
}

test("an environment that does not fit is refused with the reason, and nothing of it stays", async () => {
  const { ssh } = service().as("ada");
  expect((await ssh(["hello-main@slipway", "echo mine >mine"])).exitCode).toBe(0);
  const before = environments();
  const refused = await ssh(["big-main@slipway", "true"]);
  expect([refused.exitCode, refused.stderr]).toEqual([
    255,
    expect.stringMatching(/: the disk of this machine is full \(session s-[a-z0-9]{8}\)/),
  ]);
  await until("nothing of it to be there", () => environments().length === before.length);
  expect((await ssh(["hello-main@slipway", "cat mine"])).stdout).toBe("mine\n");
});

test("a full disk is told to who comes, and nobody gets in whom the audit log cannot hold", async () => {
  const { ssh, lobby } = service().as("ada");
  fillDisk();
  const isFull =
    /: the (disk of this machine is full|audit log cannot be written at the moment, and nobody gets in unrecorded) \(session/;
  const made = await ssh(["hello-a@slipway", "true"]);
  expect([made.exitCode, made.stderr]).toEqual([255, expect.stringMatching(isFull)]);
  // The last page of the audit log takes some records yet.
  const refused = await until("the audit log to be stuck", async () => {
    const ended = await lobby("ls");
    return ended.exitCode !== 0 && ended;
  });
  expect([refused.exitCode, refused.stderr]).toEqual([255, expect.stringMatching(isFull)]);
  expect(refused.stderr).toMatch(/^slipway: waiting for the audit log, which cannot be written …\r\n/);

  // Whoever waits when there is room again gets in.
  const waiting = service().as("ada").startSsh(["slip@slipway", "ls"], { timeoutMs: 20_000 });
  await waiting.untilError(/waiting for the audit log/);
  freeDisk();
  expect((await waiting.ended).exitCode).toBe(0);
  expect((await ssh(["hello-main@slipway", "cat mine"])).stdout).toBe("mine\n");
  expect((await ssh(["hello-a@slipway", "true"])).exitCode).toBe(0);
  expect(await service().slip("audit", "verify")).toMatch(/^sound\t/);
}, 60_000);

test("a service that stops while its disk is full says what it could not write, and the next one goes on", async () => {
  fillDisk();
  await until("the audit log to be stuck", isStuck);
  const { pid } = service();
  expect(await service().stop()).toBe(73);
  expect(service().log()).toMatch(
    /slip: Cannot write the last records of ".*audit.jsonl": they are lost\n {2}because: ENOSPC/,
  );
  freeDisk();
  await service().restart();
  expect(service().pid).not.toBe(pid);
  expect((await service().as("ada").ssh(["hello-main@slipway", "cat mine"])).stdout).toBe("mine\n");
  expect(await service().slip("audit", "verify")).toMatch(/^sound\t/);
}, 60_000);
