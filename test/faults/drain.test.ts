/**
 * A service that is told to stop: sessions get their time and then a sentence, environments go on.
 *
 * @module
 */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, expect, test } from "vitest";
import type { Running } from "../harness/program.ts";
import { sshOnTerminal } from "../harness/terminal.ts";
import { until } from "../harness/wait.ts";
import { makeWitness } from "../harness/witness.ts";
import { useService } from "../interop/use-service.ts";

const DRAIN_MS = 1_500;
const service = useService({ drainMs: DRAIN_MS });
beforeEach(async () => {
  if (!service().isUp) await service().restart();
});

const MAIN = "hello-main@slipway";

/** Starts a session in an environment that is there, and waits until its command runs. */
async function openSession(command = "sleep 1000"): Promise<Running> {
  expect((await service().as("ada").ssh([MAIN, "true"])).exitCode).toBe(0);
  const session = service()
    .as("ada")
    .startSsh([MAIN, `echo up; ${command}`], { timeoutMs: 20_000 });
  await session.untilOutput(/up/);
  return session;
}

async function readiness(): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${service().httpPort}/readyz`);
  return { status: response.status, text: await response.text() };
}

const CUT =
  /^Received disconnect from 127\.0\.0\.1 port \d+:11: Slipway is shutting down \(session s-[a-z0-9]{8}\)\s*\nDisconnected/;

test("a service that is told to stop gives sessions their time, then a sentence, and lets environments go on", async () => {
  const witness = await makeWitness(service().as("bob"), "hello-other");
  const session = await openSession();
  const begunAt = performance.now();
  const stopping = service().stop();
  await until("not ready", async () => (await readiness()).status === 503);
  expect(await readiness()).toEqual({ status: 503, text: "shutting down\n" });
  expect((await fetch(`http://127.0.0.1:${service().httpPort}/healthz`)).status).toBe(200);
  const late = await service().as("ada").ssh([MAIN, "true"]);
  expect([late.exitCode, late.stderr]).toEqual([255, expect.stringMatching(/Connection refused/)]);

  const ended = await session.ended;
  expect([ended.exitCode, ended.stderr]).toEqual([255, expect.stringMatching(CUT)]);
  expect(performance.now() - begunAt).toBeGreaterThan(DRAIN_MS - 50);
  expect(await stopping).toBe(0);
  expect(performance.now() - begunAt).toBeLessThan(DRAIN_MS + 1_500);

  await service().restart();
  await witness.mustBeUnharmed();
  const after = await service().as("ada").ssh([MAIN, "ps -eo args= | grep -c '^sleep 1000$'"]);
  expect(after.stdout).toBe("0\n"); // it ran in the foreground of a connection
});

/** Issue 2: that sessions are told was tried by nobody. Who has no terminal has no place to be told at before the end. */
test("who sits at a terminal is told when the drain begins, and who has none by the sentence at its end", async () => {
  const session = await openSession();
  const terminal = sshOnTerminal(service().as("ada"), [MAIN]);
  await terminal.untilOutput(/\$ $/);
  const begunAt = performance.now();
  const stopping = service().stop();
  await terminal.untilOutput(/\r\nslipway: the service is shutting down; this session ends in 1\.5 s\r+\n/);
  expect(performance.now() - begunAt).toBeLessThan(DRAIN_MS - 200);
  // It goes on meanwhile.
  terminal.type("echo still''here\r");
  await terminal.untilOutput(/stillhere\r\n/);

  const [atTerminal, without] = [await terminal.ended, await session.ended];
  expect(atTerminal.exitCode).toBe(255);
  expect(atTerminal.stdout).toMatch(/Slipway is shutting down \(session s-[a-z0-9]{8}\)/);
  expect(without).toMatchObject({ exitCode: 255, stdout: "up\n" });
  expect(without.stderr).toMatch(CUT);
  expect(without.stderr).not.toContain("this session ends in");
  expect(await stopping).toBe(0);
});

test("a service whose last session ends by itself does not wait for the rest of the time", async () => {
  const session = await openSession("sleep 0.3; exit 7");
  const begunAt = performance.now();
  expect(await service().stop()).toBe(0);
  expect(performance.now() - begunAt).toBeLessThan(DRAIN_MS - 100);
  expect((await session.ended).exitCode).toBe(7);
});

test("a service without sessions stops at once", async () => {
  const begunAt = performance.now();
  expect(await service().stop()).toBe(0);
  expect(performance.now() - begunAt).toBeLessThan(DRAIN_MS - 100);
});

test("more signals while it stops change nothing", async () => {
  const session = await openSession();
  const { pid } = service();
  const stopping = service().stop();
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGTERM", "SIGINT"] as const) {
    process.kill(pid, signal);
    await sleep(20);
  }
  const ended = await session.ended;
  expect([ended.exitCode, ended.stderr]).toEqual([255, expect.stringMatching(CUT)]);
  expect(await stopping).toBe(0);
});

test("a service that stops while an environment is made tells who waits for it, and makes it the next time", async () => {
  const client = service().as("ada").startSsh(["hello-feature-greeting@slipway", "true"], { timeoutMs: 20_000 });
  await client.untilError(/fetching/);
  const stopping = service().stop();
  const ended = await client.ended;
  expect(ended.exitCode === 0 ? "" : ended.stderr).toMatch(/^$|shutting down/);
  expect(await stopping).toBe(0);
  await service().restart();
  const again = await service().as("ada").ssh(["hello-feature-greeting@slipway", "git status --porcelain; cat .made"]);
  expect([again.exitCode, again.stdout]).toEqual([0, expect.stringMatching(/^made on [0-9-]+\n$/)]);
});

test("a service that stops closes connections that have proved no key", async () => {
  const socket = connect(service().port, "127.0.0.1");
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("data", () => {}); // our identification
  await new Promise((resolve) => socket.once("connect", resolve));
  await sleep(50);
  const stopping = service().stop();
  await closed;
  expect(await stopping).toBe(0);
});
