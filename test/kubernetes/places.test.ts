import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { EnvironmentRow } from "../../src/wire/lobby.ts";
import type { Client } from "../harness/client.ts";
import type { Ended } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { openTwoClusters, whyNoSecond, type TwoClusters } from "./second-cluster.ts";

const ZONED = { customizations: { slipway: { placement: { labels: { zone: "b" } } } } };
const AWAY = /the cluster "?two"? does not answer/;
const BACK_MS = 90_000;

let world: TwoClusters;
let ada: Client;
let bob: Client;

const why = whyNoSecond();
beforeEach((context) => {
  if (why !== undefined) context.skip(why);
});
beforeAll(async () => {
  if (why !== undefined) return;
  world = await openTwoClusters(
    {
      people: { ada: {}, bob: {} },
      repositories: {
        hello: { definition: null, branches: ["other"] },
        zoned: { definition: JSON.stringify(ZONED), branches: ["other"] },
      },
    },
    { one: { labels: { zone: "a" }, capacity: 4 }, two: { labels: { zone: "b" }, capacity: 2 } },
  );
  ada = world.service.as("ada");
  bob = world.service.as("bob");
});
afterAll(async () => {
  if (why === undefined) await world.close();
});

const enter = (client: Client, login: string): Promise<Ended> =>
  client.ssh([`${login}@slipway`, "echo in"], { timeoutMs: 60_000 });

async function enterWell(client: Client, login: string): Promise<Ended> {
  const ended = await enter(client, login);
  expect(ended, ended.stderr).toMatchObject({ exitCode: 0, stdout: "in\n" });
  return ended;
}

async function clusterOf(client: Client, login: string): Promise<string | undefined> {
  const { stdout } = await client.lobby("ls", "--json");
  return (JSON.parse(stdout) as EnvironmentRow[]).find((row) => row.login === login)?.cluster;
}

test("an environment goes to where the person's others of the repository are, else to the most room", async () => {
  await enterWell(ada, "hello-main");
  await enterWell(ada, "hello-other");
  await enterWell(bob, "hello-main");
  expect(await clusterOf(ada, "hello-main")).toBe("one");
  expect(await clusterOf(ada, "hello-other")).toBe("one");
  expect(await clusterOf(bob, "hello-main")).toBe("two");
});

test("an environment goes to where the labels are that it asks for, and nowhere when that is full", async () => {
  await enterWell(ada, "zoned-main");
  expect(await clusterOf(ada, "zoned-main")).toBe("two");
  const { exitCode, stderr } = await enter(bob, "zoned-main");
  expect(exitCode).toBe(255);
  expect(stderr).toContain("no cluster can take this environment: one has no label zone=b; two is full, 2 of 2 in use");
});

test("a cluster that is away is told to those who are on it, and disturbs nobody else", async ({ annotate }) => {
  const before = await enterWell(ada, "hello-main");
  await world.two.kill("apiserver");
  const during = await enterWell(ada, "hello-main");
  await annotate(
    `a login took ${Math.round(before.ms)} ms before, ${Math.round(during.ms)} ms while the other is away`,
  );
  const refused = await enter(bob, "hello-main");
  await annotate(`a login to the one that is away was refused after ${Math.round(refused.ms)} ms`);
  expect(refused.exitCode).toBe(255);
  expect(refused.stderr).toMatch(AWAY);
  const fresh = await enter(ada, "zoned-other");
  expect(fresh.stderr).toContain("one has no label zone=b; two does not answer");
  expect(await clusterOf(bob, "hello-main")).toBe("two");

  await world.service.kill9();
  await world.service.restart();
  await enterWell(ada, "hello-other");
  expect((await enter(bob, "hello-main")).stderr).toMatch(AWAY);

  await world.two.start("apiserver");
  await until(
    "a login on the cluster that was away",
    async () => (await enter(bob, "hello-main")).exitCode === 0,
    BACK_MS,
  );
  await enterWell(ada, "zoned-main");
});
