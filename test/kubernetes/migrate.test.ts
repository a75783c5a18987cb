import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { LABELS } from "../../src/policy/kubernetes/labels.ts";
import { kinds } from "../../src/wire/kubernetes.ts";
import type { EnvironmentRow } from "../../src/wire/lobby.ts";
import type { Client } from "../harness/client.ts";
import type { Running } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { openTwoClusters, type TwoClusters, whyNoSecond } from "./second-cluster.ts";

type Name = "one" | "two";

const SERVICE = 'echo "served on $HOSTNAME" >/tmp/served; exec sleep 1000000';
const DEFINITION = { customizations: { slipway: { run: SERVICE } } };
/** Enough to be killed in the middle of it. */
const LARGE_MB = 60;
/** A machine with other work. */
const SLOW_MS = 120_000;
vi.setConfig({ testTimeout: 2 * SLOW_MS });

/** What nobody has pushed: a commit, a change, a file of the home folder, and what takes long to copy. */
const WORK = `git commit -q --allow-empty -m "not pushed" && echo changed >>README.md && echo mine >~/notes &&
  head -c ${LARGE_MB}000000 /dev/urandom >~/large && cksum <~/large`;
const LOOK = `git log -1 --format=%s; git status --short; cat ~/notes; cksum <~/large
  until [ -s /tmp/served ]; do sleep 0.1; done`;

let world: TwoClusters;
let ada: Client;
/** What `LOOK` has to say, wherever it is said. */
let expected = "";

const why = whyNoSecond();
beforeEach((context) => {
  if (why !== undefined) context.skip(why);
});
beforeAll(async () => {
  if (why !== undefined) return;
  const repositories = { hello: { definition: JSON.stringify(DEFINITION) } };
  world = await openTwoClusters({ people: { ada: {} }, repositories }, { one: {}, two: {} });
  ada = world.service.as("ada");
  const made = await ada.ssh(["hello-main@slipway", WORK], { timeoutMs: SLOW_MS });
  expect(made.exitCode, made.stderr).toBe(0);
  expected = `not pushed\n M README.md\nmine\n${made.stdout}`;
});
afterAll(async () => {
  if (why === undefined) await world.close();
});

async function row(): Promise<EnvironmentRow> {
  const { stdout } = await ada.lobby("ls", "--json");
  const [only] = JSON.parse(stdout) as EnvironmentRow[];
  if (only === undefined) throw new Error("Cannot find the environment: nothing is listed");
  return only;
}

async function idOf(): Promise<string> {
  const { stdout } = await ada.ssh(["hello-main@slipway", "echo $SLIPWAY_ENVIRONMENT"], { timeoutMs: SLOW_MS });
  return stdout.trim();
}

/** Waits until no other cluster has anything of the environment any more. */
async function untilOnly(name: Name): Promise<void> {
  const id = await idOf();
  const names: Name[] = ["one", "two"];
  const look = async (): Promise<boolean> => {
    const found = await Promise.all(names.map(async (one) => ((await isOn(one, id)) ? [one] : [])));
    return found.flat().join() === name;
  };
  await until(`nothing but ${name}`, look, SLOW_MS);
}

async function isOn(name: Name, id: string): Promise<boolean> {
  const where = { labelSelector: `${LABELS.environment}=${id}` };
  return (await world.apis[name].list(kinds.namespace, where, AbortSignal.timeout(SLOW_MS))).length > 0;
}

async function mustHaveAll(): Promise<void> {
  const { exitCode, stdout, stderr } = await ada.ssh(["hello-main@slipway", LOOK], { timeoutMs: SLOW_MS });
  expect({ exitCode, stdout }, stderr).toEqual({ exitCode: 0, stdout: expected });
}

function startMove(to: Name): Running {
  return ada.startSsh(["slip@slipway", "migrate", "hello-main", "--to", to], { timeoutMs: SLOW_MS });
}

async function moveTo(to: Name): Promise<string> {
  const { exitCode, stdout, stderr } = await startMove(to).ended;
  expect(exitCode, stderr).toBe(0);
  return stdout;
}

/** A session that lasts until it is cut. */
async function openSession(): Promise<Running> {
  const session = ada.startSsh(["hello-main@slipway", "echo in; sleep 1000000"], { timeoutMs: SLOW_MS });
  await session.untilOutput(/in/, SLOW_MS);
  return session;
}

test("migrate takes an environment to another cluster with all that nobody has pushed", async ({ annotate }) => {
  expect((await row()).cluster).toBe("one");
  const session = await openSession();
  const stdout = await moveTo("two");
  const [, downMs] = /^hello-main is on two now; it was down for ([0-9]+) ms$/m.exec(stdout) ?? [];
  expect(Number(downMs)).toBeGreaterThan(0);
  await annotate(`${LARGE_MB} MB: down for ${downMs ?? "?"} ms`);
  expect((await session.ended).stderr).toContain("hello-main is moved to the cluster two by ada");
  await mustHaveAll();
  expect((await row()).cluster).toBe("two");
  await untilOnly("two");
});

test("migrate back takes what was done since", async () => {
  await ada.ssh(["hello-main@slipway", "echo more >>~/notes"], { timeoutMs: SLOW_MS });
  expected = expected.replace("mine\n", "mine\nmore\n");
  await moveTo("one");
  await mustHaveAll();
  await untilOnly("one");
});

interface Moment {
  readonly move: Running;
  readonly session: Running;
  readonly id: string;
  readonly to: Name;
}
const moments: readonly (readonly [string, (moment: Moment) => Promise<unknown>])[] = [
  ["it is made ready there", async ({ id, to }) => until("a namespace there", () => isOn(to, id), SLOW_MS)],
  ["its files are copied", ({ session }) => session.ended],
  ["it is there and has not gone here", ({ move, to }) => move.untilOutput(new RegExp(`is on ${to} now`), SLOW_MS)],
];

/**
 * Begins a move and reaches a moment of it. What the test before has left is gone before its record says so, and for so long a
 * move is refused.
 */
async function tryMove(
  given: Omit<Moment, "move">,
  reach: (moment: Moment) => Promise<unknown>,
): Promise<Running | undefined> {
  const move = startMove(given.to);
  const isRefused = async (): Promise<boolean> => (await move.ended).stderr.includes("what an earlier move left");
  const reached = reach({ ...given, move }).then(() => true);
  const refused = isRefused().then((is) => (is ? false : reached));
  const outcome = await Promise.race([reached.catch(() => refused), refused]);
  return outcome ? move : undefined;
}

test.each(moments)("a service that is killed while %s has one place of it after, with all work", async (_, reach) => {
  const to = (await row()).cluster === "one" ? "two" : "one";
  const session = await openSession();
  const id = await idOf();
  const move = await until("a move that is not refused", () => tryMove({ session, id, to }, reach), SLOW_MS);
  await world.service.kill9();
  await Promise.all([move.ended, session.ended]);
  await world.service.restart();
  await mustHaveAll();
  await untilOnly((await row()).cluster as Name);
  await mustHaveAll();
});

test("a move to a cluster that goes away meanwhile has not happened", async () => {
  if ((await row()).cluster === "two") await moveTo("one");
  await untilOnly("one");
  const id = await idOf();
  const move = startMove("two");
  await until("a namespace there", () => isOn("two", id), SLOW_MS);
  await world.two.kill("apiserver");
  const { exitCode, stderr } = await move.ended;
  expect(exitCode, stderr).not.toBe(0);
  await mustHaveAll();
  await world.two.start("apiserver");
  await world.two.untilReady();
  await untilOnly("one");
});
