/**
 * A client goes without a word: killed, or behind a link that is down. What it ran in the foreground ends, and the audit
 * log says when its session did.
 *
 * @module
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import { freePort } from "../harness/free-port.ts";
import { whyNoService } from "../harness/needs.ts";
import { mustRun, run } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { useService } from "../interop/use-service.ts";

/** A network of our own: a namespace and a pair of interfaces, addresses from TEST-NET-2 (RFC 5737). */
interface Net {
  readonly name: string;
  readonly here: string;
  readonly there: string;
  readonly port: number;
  /** Is ours while it listens, as long as this process lives. */
  readonly lock: Server;
}

/** Whoever listens at the first of these and the number of a network has it. Below those of `free-port.ts`. */
const [FIRST_LOCK, LAST_NUMBER] = [19_900, 62];

let net: Net;
/** Read by the service when it starts. */
const ssh: string[] = [];

/** Takes a network that no other run has; what there is of it was left by one that was killed. */
async function takeNet(): Promise<Net> {
  for (let number = 1; number <= LAST_NUMBER; number += 1) {
    const lock = createServer().listen(FIRST_LOCK + number, "127.0.0.1");
    const isTaken = await once(lock, "listening").then(
      () => false,
      () => true,
    );
    if (isTaken) continue;
    const [here, there] = [`198.51.100.${4 * number + 1}`, `198.51.100.${4 * number + 2}`];
    return { name: `slipfault${number}`, here, there, port: await freePort(), lock };
  }
  throw new Error(`Cannot take a network: all ${LAST_NUMBER} are in use`);
}

async function removeNet({ name }: Net): Promise<void> {
  await run(["ip", "link", "delete", name]);
  await run(["ip", "netns", "delete", name]);
}

beforeAll(async () => {
  if (whyNoService() !== undefined) return;
  net = await takeNet();
  await removeNet(net);
  const { name, here, there, port } = net;
  ssh.push(`${here}:${port}`);
  await mustRun(["ip", "netns", "add", name]);
  await mustRun(["ip", "-batch", "-"], {
    input: `link add ${name} type veth peer name far netns ${name}\naddr add ${here}/30 dev ${name}\nlink set ${name} up\n`,
  });
  await mustRun(["ip", "-n", name, "-batch", "-"], {
    input: `addr add ${there}/30 dev far\nlink set far up\nlink set lo up\n`,
  });
});
const service = useService({
  listen: { ssh },
  repositories: { hello: { branches: ["other"] } },
});
afterAll(async () => {
  if (whyNoService() !== undefined) return;
  await removeNet(net);
  net.lock.close();
});

const MAIN = "hello-main@slipway";

interface AuditLine {
  readonly type: string;
  readonly session?: string;
  readonly from?: string;
  readonly reason?: string;
}

function auditLines(): AuditLine[] {
  const text = readFileSync(join(service().stateFolder, "audit.jsonl"), "utf8");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as AuditLine);
}

/** How the session of a client ended, once it has. */
async function endOf(from: string, withinMs: number): Promise<string | undefined> {
  const { session } = await until("session.opened", () =>
    auditLines().findLast((line) => line.type === "session.opened" && line.from === from),
  );
  const ended = await until(
    "session.ended",
    () => auditLines().find((line) => line.type === "session.ended" && line.session === session),
    withinMs,
  );
  return ended.reason;
}

async function countInside(pattern: string): Promise<number> {
  const { stdout } = await service()
    .as("ada")
    .ssh([MAIN, `ps -eo args= | grep -c '^${pattern}$'`]);
  return Number(stdout);
}

test.concurrent(
  "a client whose link goes down is noticed within a minute",
  async ({ expect, onTestFinished }) => {
    await service().as("ada").ssh([MAIN, "true"]);
    const { configFile, start } = service().as("ada");
    const address = [
      "-o",
      `HostName=${net.here}`,
      "-o",
      `HostKeyAlias=[127.0.0.1]:${service().port}`,
      "-p",
      String(net.port),
    ];
    const words = ["ip", "netns", "exec", net.name, "ssh", "-F", configFile, ...address, MAIN, "echo up; sleep 7771"];
    const client = start(words, { env: { HOME: "/root" } });
    onTestFinished(() => client.kill("SIGKILL"));
    await client.untilOutput(/up/);
    expect(await countInside("sleep 7771")).toBe(1);
    await mustRun(["ip", "link", "set", net.name, "down"]);
    expect(await endOf(net.there, 61_000)).toBe("the client no longer answers");
    await until("its program to end", async () => (await countInside("sleep 7771")) === 0);
  },
  90_000,
);

test.concurrent(
  "a client that is killed is noticed at once, and everything in the foreground ends with it",
  async ({ expect }) => {
    await service().as("ada").ssh([MAIN, "true"]);
    const shell = service().as("ada").startSsh(["-tt", MAIN, "echo up; exec sleep 7772"]);
    const command = service().as("ada").startSsh([MAIN, "echo up; sleep 7773 & sleep 7774"]);
    const server = service().as("ada").startSsh([MAIN, "nohup sleep 7775 >/dev/null 2>&1 & sleep 0.5; echo up; cat"]);
    await Promise.all([shell.untilOutput(/up/), command.untilOutput(/up/), server.untilOutput(/up/)]);
    for (const client of [shell, command, server]) client.kill("SIGKILL");
    await until("its programs to end", async () => (await countInside("sleep 777[234]")) === 0);
    expect(await countInside("sleep 7775")).toBe(1);
    await service().as("ada").ssh([MAIN, "pkill -f 7775"]);
  },
);

test.concurrent(
  "a client that is stopped and goes on is not taken for one that has gone",
  async ({ expect }) => {
    const client = service().as("bob").startSsh(["hello-other@slipway", "echo up; cat"], { timeoutMs: 60_000 });
    await client.untilOutput(/up/);
    client.kill("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 20_000)); // longer than a probe, shorter than all of them
    client.kill("SIGCONT");
    client.stdin.end("still here\n");
    expect(await client.ended).toMatchObject({ exitCode: 0, stdout: "up\nstill here\n" });
  },
  60_000,
);

test.concurrent("a client that vanishes while it waits for its environment does not end the making of it", async () => {
  const client = service().as("bob").startSsh(["hello-main@slipway", "true"]);
  await client.untilError(/preparing/);
  client.kill("SIGKILL");
  await until("it to be made", async () => {
    const { stdout } = await service().as("bob").lobby("ls");
    return /hello-main\t(ready|active|idle)\trunning\t0/.test(stdout);
  });
});
