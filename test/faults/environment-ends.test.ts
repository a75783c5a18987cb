/**
 * The environment ends under its sessions: its first process dies, an sshd of it dies, it is removed.
 *
 * @module
 */
import { expect, onTestFinished, test } from "vitest";
import type { Running } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { useService } from "../interop/use-service.ts";
import { mustBeCut, openEveryKind } from "./every-kind.ts";
import { killFirstProcess } from "./first-process.ts";

const service = useService({ repositories: { hello: { branches: ["shells", "cold"] } } });
const MAIN = "hello-main@slipway";

/** Starts `ssh` and sees to it that it does not outlive the test. */
function startSsh(...args: readonly string[]): Running {
  const running = service().as("ada").startSsh(args, { timeoutMs: 20_000 });
  onTestFinished(() => running.kill("SIGKILL"));
  return running;
}

test("sessions whose environment dies end with 255 and a sentence, and the next one wakes it with its files", async () => {
  const { ssh } = service().as("ada");
  expect((await ssh([MAIN, "echo mine >mine; nohup sleep 5000 >/dev/null 2>&1 &"])).exitCode).toBe(0);
  const everyKind = await openEveryKind(service().as("ada"), "hello-main");
  await killFirstProcess(service().as("ada"), "hello-main");
  await mustBeCut(everyKind, /the environment ended this session \(session s-[a-z0-9]{8}\)/, 3_000);
  const again = await ssh([MAIN, "cat mine; pgrep -x sleep"]);
  expect([again.exitCode, again.stdout]).toEqual([1, "mine\n"]);
  expect(again.stderr).toMatch(/^slipway: starting … \d+ ms\r\n$/);
});

test("a session whose sshd dies ends with 255 and a sentence, and the others go on", async () => {
  const { ssh } = service().as("ada");
  const first = startSsh(MAIN, "echo up; sleep 1000");
  await first.untilOutput(/up/);
  const second = startSsh(MAIN, "echo up; cat");
  await second.untilOutput(/up/);
  // The oldest; its monitor has another name.
  const killed = await ssh([MAIN, "pkill -KILL -o -f '^sshd: dev@'"]);
  const since = performance.now();
  const ended = await first.ended;
  const sentence = /the environment ended this session \(session s-[a-z0-9]{8}\)/;
  expect([killed.exitCode, ended.exitCode, ended.stderr]).toEqual([0, 255, expect.stringMatching(sentence)]);
  expect(performance.now() - since).toBeLessThan(3_000);
  second.stdin.end("still here\n");
  expect(await second.ended).toMatchObject({ exitCode: 0, stdout: "up\nstill here\n" });
  await until("the foreground command to end", async () => (await ssh([MAIN, "pgrep -x sleep"])).exitCode === 1);
});

test("rm --force cuts every kind of session with a sentence", async () => {
  const { ssh, lobby } = service().as("ada");
  expect((await ssh(["hello-shells@slipway", "echo lost >lost"])).exitCode).toBe(0);
  const everyKind = await openEveryKind(service().as("ada"), "hello-shells");
  const refused = await lobby("rm", "hello-shells");
  const why = /^slipway: hello-shells has work that is not pushed:\n {2}changed lost\n/;
  expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringMatching(why)]);
  const removing = lobby("rm", "hello-shells", "--force");
  await mustBeCut(everyKind, /hello-shells was removed by ada \(session s-[a-z0-9]{8}\)/, 2_000);
  expect((await removing).stdout).toBe("removed hello-shells\n");
  const fresh = await ssh(["hello-shells@slipway", "ls lost"]);
  expect(fresh.exitCode).toBe(2);
});

test("rm --force of an environment that is being made ends the making, and who waits for it is told", async () => {
  const waiting = startSsh("hello-cold@slipway", "true");
  await waiting.untilError(/preparing/);
  const removed = await service().as("ada").lobby("rm", "hello-cold", "--force");
  expect([removed.exitCode, removed.stdout]).toEqual([0, "removed hello-cold\n"]);
  const ended = await waiting.ended;
  if (ended.exitCode !== 0) expect(ended.stderr).toMatch(/was removed by ada|is being removed/);
});
