/**
 * Many sessions over one connection of OpenSSH (ControlMaster), and agent forwarding.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readPublicKey, type Client } from "../harness/client.ts";
import type { Ended, Running } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { useService } from "./use-service.ts";

const service = useService();
const MAIN = "hello-main@slipway";

/** A connection that others share. */
interface Master extends AsyncDisposable {
  readonly path: string;
  /** Runs `ssh` over it, with nothing of its own to connect with. */
  ssh(args: readonly string[], input?: string | Buffer): Promise<Ended>;
}

async function openMaster(client: Client, name: string, args: readonly string[] = []): Promise<Master> {
  const path = join(client.folder, `control-${name}`);
  const running = client.startSsh(["-M", "-S", path, "-N", ...args, MAIN]);
  const ssh: Master["ssh"] = (words, input) =>
    client.run(["ssh", "-F", "none", "-S", path, ...words], input === undefined ? {} : { input });
  await until("the master", async () => (await ssh(["-O", "check", MAIN])).exitCode === 0);
  return {
    path,
    ssh,
    [Symbol.asyncDispose]: async () => {
      await ssh(["-O", "exit", MAIN]);
      await running.ended;
    },
  };
}

test("ssh -S runs 12 sessions at once over one connection, none in the way of another", async () => {
  await using master = await openMaster(service().as("ada"), "twelve");
  const payloads = Array.from({ length: 12 }, (_, at) => randomBytes(300_000 + at).toString("base64"));
  const all = await Promise.all(
    payloads.map((payload, at) => master.ssh([MAIN, `cat; echo error ${at} >&2; exit ${at}`], payload)),
  );
  for (const [at, ended] of all.entries()) {
    expect({ code: ended.exitCode, stderr: ended.stderr }).toEqual({ code: at, stderr: `error ${at}\n` });
    expect(ended.stdout === payloads[at]).toBe(true);
  }
  expect(service().events("session.opened")).toHaveLength(1);
});

test("ssh -S is not held up by a session that nobody reads from", async () => {
  await using master = await openMaster(service().as("ada"), "stuck");
  const stuck = service()
    .as("ada")
    .start(["sh", "-c", `ssh -F none -S ${master.path} ${MAIN} 'yes' | sleep 1000`]);
  const ended = await master.ssh([MAIN, "sleep 0.5; head -c 3000000 /dev/zero"]);
  expect([ended.exitCode, ended.bytes.length]).toEqual([0, 3_000_000]);
  stuck.kill();
  await service()
    .as("ada")
    .run(["pkill", "-P", String(stuck.pid)]);
});

test("ssh -S has a terminal in one session and none in another", async () => {
  await using master = await openMaster(service().as("ada"), "mixed");
  const [with_, without] = await Promise.all([master.ssh(["-tt", MAIN, "tty"]), master.ssh([MAIN, "tty"])]);
  expect(with_.stdout).toMatch(/^\/dev\/pts\/\d+\r?\n$/);
  expect(without.stdout).toBe("not a tty\n");
});

test("ssh -S tells 255 of a session whose connection is cut", async () => {
  const master = await openMaster(service().as("ada"), "cut");
  const waiting = master.ssh([MAIN, "echo up; sleep 1000"]);
  const [session] = await until("the session", async () => {
    const rows = JSON.parse((await service().as("ada").lobby("who", "--json")).stdout) as {
      id: string;
      login: string;
    }[];
    const own = rows.filter(({ login }) => login === "hello-main");
    return own.length > 0 && own;
  });
  await service()
    .as("ada")
    .lobby("kill", session?.id ?? "");
  expect((await waiting).exitCode).toBe(255);
  await master[Symbol.asyncDispose]();
});

const agents: Running[] = [];

afterAll(async () => {
  for (const agent of agents) agent.kill();
  await Promise.all(agents.map(({ ended }) => ended));
});

/** Starts an agent with keys. @returns its socket */
async function startAgent(client: Client, name: string, keys: readonly string[]): Promise<string> {
  const path = join(client.folder, `agent-${name}`);
  agents.push(client.start(["ssh-agent", "-D", "-a", path]));
  const env = { SSH_AUTH_SOCK: path };
  await until("the agent", async () => (await client.run(["ssh-add", "-l"], { env })).exitCode !== 2);
  const added = await client.run(["ssh-add", "-q", ...keys], { env });
  expect(added).toMatchObject({ exitCode: 0 });
  return path;
}

test("ssh -A lets programs inside sign with the agent here", async () => {
  const ada = service().as("ada");
  const agent = await startAgent(ada, "used", [ada.identityFile]);
  const key = readPublicKey(ada.identityFile);
  const sign = `printf '%s\\n' '${key}' >/tmp/key.pub && printf text | ssh-keygen -q -Y sign -n file -f /tmp/key.pub`;
  const signed = await ada.ssh(["-A", MAIN, sign], { env: { SSH_AUTH_SOCK: agent } });
  expect(signed.stderr).toBe("");
  const [signature, allowed] = [join(ada.folder, "text.sig"), join(ada.folder, "allowed")];
  writeFileSync(signature, signed.bytes);
  writeFileSync(allowed, `ada ${key}\n`);
  const words = ["ssh-keygen", "-Y", "verify", "-n", "file", "-I", "ada", "-f", allowed, "-s", signature];
  expect(await ada.run(words, { input: "text" })).toMatchObject({ exitCode: 0 });
});

test("ssh without -A lends no agent, and its socket is gone with the connection", async () => {
  const ada = service().as("ada");
  const agent = await startAgent(ada, "lent", [ada.identityFile]);
  const env = { SSH_AUTH_SOCK: agent };
  const lent = await ada.ssh(["-A", MAIN, "echo $SSH_AUTH_SOCK; ssh-add -l | wc -l"], { env });
  const [socket, count] = lent.stdout.trim().split("\n");
  expect([Boolean(socket), count]).toEqual([true, "1"]);
  const unasked = await ada.ssh([MAIN, `echo "<$SSH_AUTH_SOCK>"; SSH_AUTH_SOCK=${socket} ssh-add -l; echo $?`], {
    env,
  });
  expect(unasked.stdout).toBe("<>\n2\n");
});
