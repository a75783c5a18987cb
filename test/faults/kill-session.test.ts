/**
 * A session is ended from the lobby: each kind of it is cut in time, with its channels, forwards and programs.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Client } from "../harness/client.ts";
import { until } from "../harness/wait.ts";
import { useService } from "../interop/use-service.ts";
import { answers, mustBeCut, openEveryKind } from "./every-kind.ts";

const service = useService({ repositories: { hello: { branches: ["other"] } } });

interface SessionRow {
  readonly id: string;
  readonly person: string;
  readonly login: string;
  readonly channelCount: number;
}

/** The live sessions that a person sees, without the one by which they look. */
async function listSessions(client: Client): Promise<SessionRow[]> {
  const rows = JSON.parse((await client.lobby("who", "--json")).stdout) as SessionRow[];
  return rows.filter(({ login }) => login !== "slip");
}

test("kill ends each kind of session, its forwards and its programs, with a sentence", async () => {
  const [ada, bob] = [service().as("ada"), service().as("bob")];
  expect((await bob.ssh(["hello-main@slipway", "true"])).exitCode).toBe(0);
  const everyKind = await openEveryKind(bob, "hello-main");
  const bystander = bob.startSsh(["hello-other@slipway", "echo up; cat"], { timeoutMs: 20_000 });
  await bystander.untilOutput(/up/);
  expect(await Promise.all(everyKind.ports.map(answers))).toEqual([true, true]);
  const portInside = `exec 3<>/dev/tcp/127.0.0.1/${everyKind.portInside}`;
  expect((await bob.ssh(["hello-main@slipway", portInside])).exitCode).toBe(0);

  const sessions = (await listSessions(ada)).filter(({ login }) => login === "hello-main");
  expect(sessions).toHaveLength(Object.keys(everyKind.kinds).length);
  const killed = sessions.map(async ({ id }) => ada.lobby("kill", id));
  await mustBeCut(everyKind, /this session was ended by ada \(session s-[a-z0-9]{8}\)/, 2_000);
  expect((await Promise.all(killed)).map(({ stdout }) => stdout)).toEqual(sessions.map(({ id }) => `killed ${id}\n`));

  expect(await Promise.all(everyKind.ports.map(answers))).toEqual([false, false]);
  expect((await bob.ssh(["hello-main@slipway", portInside])).exitCode).toBe(1);
  await until("the programs to end", async () => {
    const { stdout } = await bob.ssh(["hello-main@slipway", "ps -eo args="]);
    return !/sleep 1000|bash -l|\nsshd: dev@pts/.test(stdout);
  });
  // Each is in the audit log, with its end.
  const records = readFileSync(join(service().stateFolder, "audit.jsonl"), "utf8");
  for (const { id } of sessions) {
    const ended = `"reason":"this session was ended by ada \\(session ${id}\\)","seq":\\d+,"session":"${id}","type":"session.ended"`;
    expect(records).toMatch(new RegExp(ended));
  }
  bystander.stdin.end("untouched\n");
  expect(await bystander.ended).toMatchObject({ exitCode: 0, stdout: "up\nuntouched\n" });
});

test("kill of a session that does not read ends it all the same", async () => {
  const bob = service().as("bob");
  const session = bob.startSsh(["hello-main@slipway", "echo up; yes"], { timeoutMs: 20_000 });
  await session.untilOutput(/up/);
  process.kill(session.pid, "SIGSTOP");
  await until("the windows to be full", async () => {
    const { stdout } = await bob.ssh(["hello-main@slipway", "cat /proc/$(pgrep -x yes)/wchan"]);
    return /pipe_w|sock|wait/.test(stdout);
  });
  const [row] = await listSessions(bob);
  const since = performance.now();
  expect((await bob.lobby("kill", row?.id ?? "")).exitCode).toBe(0);
  await until("it to be gone", async () => (await listSessions(bob)).length === 0);
  await until("the program to end", async () => (await bob.ssh(["hello-main@slipway", "pgrep -x yes"])).exitCode === 1);
  expect(performance.now() - since).toBeLessThan(2_000);
  process.kill(session.pid, "SIGCONT");
  expect((await session.ended).exitCode).toBe(255);
});

test("kill of somebody else's session is refused like that of one that is not there", async () => {
  const [ada, bob] = [service().as("ada"), service().as("bob")];
  const session = ada.startSsh(["hello-other@slipway", "echo up; cat"], { timeoutMs: 20_000 });
  await session.untilOutput(/up/);
  const [row] = await listSessions(ada);
  const id = row?.id ?? "";
  const tried = await bob.lobby("kill", id);
  expect([tried.exitCode, tried.stderr]).toEqual([1, `slipway: there is no session "${id}"; "who" lists them\n`]);
  session.stdin.end();
  expect((await session.ended).exitCode).toBe(0);
});
