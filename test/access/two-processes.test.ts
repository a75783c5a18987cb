/**
 * Two gateways on one PostgreSQL: what one learns of a forge the other knows, a right that one sees taken away ends
 * sessions on the other, and neither touches the other's environments.
 *
 * Webhooks go to the first alone. Where the poll interval is 10 minutes, only the database can have told the second.
 *
 * @module
 */
import { generateKeyPairSync } from "node:crypto";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { mustBeCut, openEveryKind } from "../faults/every-kind.ts";
import type { World } from "../forges/github/world.ts";
import type { Client } from "../harness/client.ts";
import { whyNoService } from "../harness/needs.ts";
import { openTestPostgres, whyNoPostgres, type TestPostgres } from "../harness/postgres.ts";
import { run } from "../harness/program.ts";
import type { TestService } from "../harness/service.ts";
import { until } from "../harness/wait.ts";
import { openForgeService, type ForgeService, type ForgeServiceOptions } from "./open-forge-service.ts";

const PROGRAM = join(import.meta.dirname, "../../src/cmd/slip.ts");
const REVOKED_MS = 2_000;

const DENIED = { exitCode: 255, stdout: "" };

const lacks = whyNoService() ?? whyNoPostgres();
let opened: TestPostgres | undefined;
beforeAll(async () => {
  if (lacks === undefined) opened = await openTestPostgres();
});
afterAll(() => opened?.[Symbol.asyncDispose]());

function server(): TestPostgres {
  if (opened === undefined) throw new Error("Cannot use PostgreSQL: it is not there yet");
  return opened;
}

beforeEach((context) => {
  if (lacks !== undefined) context.skip(lacks);
});

interface Two extends AsyncDisposable {
  readonly github: ForgeService["github"];
  /** Takes the webhooks. */
  readonly one: TestService;
  readonly other: TestService;
  readonly databaseUrl: string;
}

interface TwoOptions extends Pick<ForgeServiceOptions, "github" | "mayLogErrors"> {
  /** @default 10m */
  readonly poll?: string;
  /** Whether the second has a token of its own, so that requests tell who asked. @default false */
  readonly isOtherByToken?: boolean;
}

async function openTwo({ poll = "10m", isOtherByToken = false, ...options }: TwoOptions = {}): Promise<Two> {
  const databaseUrl = await server().url();
  const both = {
    ...{ ...options, forge: { poll }, env: { DATABASE_URL: databaseUrl } },
    settings: { database: { urlEnv: "DATABASE_URL" } },
  };
  await using parts = new AsyncDisposableStack();
  const one = parts.use(await openForgeService({ ...both, webhooks: true }));
  const other = parts.use(await openForgeService({ ...both, beside: one, byToken: isOtherByToken }));
  const owned = parts.move();
  return {
    ...{ github: one.github, one: one.service, other: other.service, databaseUrl },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function untilIn(client: Client, login: string): Promise<void> {
  const isIn = async (): Promise<boolean> => (await client.ssh([`${login}@slipway`, "true"])).exitCode === 0;
  await until(`${client.name} to get into ${login}`, isIn, 30_000);
}

async function mustBeOut(client: Client, login: string): Promise<void> {
  expect(await client.ssh([`${login}@slipway`, "echo in"])).toMatchObject(DENIED);
}

/** What the second asked where it has a token of its own: `openForgeService` makes that for this account. */
function requestsByToken({ server, world }: Two["github"]): string[] {
  const asker = `user:${world.user("token-owner").id}`;
  return server.requests.flatMap((request) => (request.asker === asker ? `${request.method} ${request.path}` : []));
}

const measured: string[] = [];
afterAll(() => {
  process.stdout.write(measured.map((line) => `${line}\n`).join(""));
});

test(
  "whom the first has let in the second knows, and asks the forge nothing about them",
  { timeout: 120_000 },
  async () => {
    await using two = await openTwo({ isOtherByToken: true });
    const { github, one, other } = two;
    github.world.setCollaborator("acme/shop", "ivy", "push");
    await untilIn(one.as("ivy"), "shop-main");
    github.server.clearRequests();
    const first = await other.as("ivy").ssh(["shop-main@slipway", "cat README.md; echo $SLIPWAY_PERSON"]);
    expect(first).toMatchObject({ exitCode: 0, stdout: "# shop\nivy\n" });
    expect(requestsByToken(github)).toEqual([]);
    // What it asks when it does is seen as such.
    github.world.setCollaborator("acme/shop", "max", "push");
    await untilIn(other.as("max"), "shop-main");
    measured.push(`| the second asks for somebody new | ${requestsByToken(github).length} requests |`);
  },
);

interface Cause {
  readonly what: string;
  readonly repository: string;
  readonly take: (world: World) => void;
}

const causes: readonly Cause[] = [
  {
    what: "removed as a collaborator",
    repository: "direct",
    take: (world) => world.removeCollaborator("acme/direct", "ivy"),
  },
  { what: "removed from the organisation", repository: "orged", take: (world) => world.removeMember("acme", "ivy") },
  { what: "the repository was archived", repository: "archived", take: (world) => world.archive("acme/archived") },
  { what: "their team was deleted", repository: "disbanded", take: (world) => world.deleteTeam("acme/disbanded") },
];

describe("a webhook to the first alone", () => {
  let made: Two | undefined;
  beforeAll(async () => {
    if (lacks !== undefined) return;
    const two = (made = await openTwo({ github: { repos: ["shop", ...causes.map(({ repository }) => repository)] } }));
    for (const { repository } of causes) await two.github.fill(`acme/${repository}`, { main: { "a.txt": "a\n" } });
  });
  afterAll(() => made?.[Symbol.asyncDispose]());

  test.each(causes)("$what: every kind of connection to the second is cut", { timeout: 90_000 }, async (cause) => {
    if (made === undefined) throw new Error("Cannot go on: needs both services");
    const { github, one, other } = made;
    const { repository, take } = cause;
    const login = `${repository}-main`;
    const team = `acme/${repository}`;
    github.world.addTeam(team);
    github.world.addToTeam(team, "ivy");
    if (repository === "direct") github.world.setCollaborator(`acme/${repository}`, "ivy", "push");
    else github.world.setTeamPermission(team, `acme/${repository}`, "push");
    const ivy = other.as("ivy");
    await untilIn(ivy, login);
    const everyKind = await openEveryKind(ivy, login);
    const takenAt = performance.now();
    take(github.world);
    await mustBeCut(everyKind, new RegExp(`acme/${repository}.*\\(session s-[a-z0-9]{8}\\)`), REVOKED_MS);
    measured.push(`| ${cause.what} | told to the other process | ${Math.round(performance.now() - takenAt)} ms |`);
    await mustBeOut(ivy, login);
    await mustBeOut(one.as("ivy"), login);
  });
});

test(
  "what the first was told before it was killed the second finds within its poll interval",
  { timeout: 120_000 },
  async () => {
    const pollMs = 5_000;
    await using two = await openTwo({ poll: `${pollMs / 1_000}s` });
    const { github, one, other } = two;
    github.world.setCollaborator("acme/shop", "ivy", "push");
    const ivy = other.as("ivy");
    await untilIn(ivy, "shop-main");
    const everyKind = await openEveryKind(ivy, "shop-main");
    await github.courier.settled();
    const toldCount = github.courier.deliveries.length;
    const takenAt = performance.now();
    github.world.removeCollaborator("acme/shop", "ivy");
    await until("the webhook to be taken", () => github.courier.deliveries.length > toldCount);
    await one.kill9();
    await mustBeCut(everyKind, /no collaborator of acme\/shop.*\(session s-/, pollMs + 2_000);
    measured.push(`| the first killed with the webhook | ${Math.round(performance.now() - takenAt)} ms |`);
    await mustBeOut(ivy, "shop-main");
  },
);

test(
  "a right that was taken away while the second could not hear ends its sessions as soon as it hears again",
  { timeout: 120_000 },
  async () => {
    await using two = await openTwo();
    const { github, one, other, databaseUrl } = two;
    github.world.setCollaborator("acme/shop", "ivy", "push");
    const ivy = other.as("ivy");
    await untilIn(ivy, "shop-main");
    const live = ivy.startSsh(["-N", "shop-main@slipway"], { timeoutMs: 60_000 });
    await until("the session", async () => (await ivy.lobby("who")).stdout.includes("shop-main"));
    const database = new URL(databaseUrl).pathname.slice(1);
    // So that the first has a connection to write with.
    await one.as("root").lobby("ls");
    await server().query(`alter database ${database} allow_connections false`);
    await server().query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${database}'
      and query in ('listen slipway_knowledge', 'select 1')`);
    github.world.removeCollaborator("acme/shop", "ivy");
    await until(
      "the first to know",
      async () => (await one.as("ivy").ssh(["shop-main@slipway", "true"])).exitCode === 255,
    );
    await sleep(1_500);
    expect(live.stderr()).toBe("");
    await server().query(`alter database ${database} allow_connections true`);
    const heardAgainAt = performance.now();
    await live.untilError(/no collaborator of acme\/shop.*\(session s-/, REVOKED_MS + 1_000);
    const ms = performance.now() - heardAgainAt;
    expect(ms).toBeLessThan(REVOKED_MS);
    measured.push(
      `| after the connection that listens was cut | ${Math.round(ms)} ms from where it could be made again |`,
    );
  },
);

test(
  "while PostgreSQL is down sessions go on, and a right is still lost where it is learned",
  { timeout: 120_000 },
  async () => {
    const pollMs = 5_000;
    await using two = await openTwo({ poll: `${pollMs / 1_000}s`, mayLogErrors: true });
    const { github, one, other } = two;
    for (const name of ["ivy", "max"]) github.world.setCollaborator("acme/shop", name, "push");
    const [ivy, max] = [other.as("ivy"), other.as("max")];
    await untilIn(ivy, "shop-main");
    await untilIn(max, "shop-main");
    const [hers, his] = [ivy, max].map((client) =>
      client.startSsh(["shop-main@slipway", "echo up; cat"], { timeoutMs: 90_000 }),
    );
    if (hers === undefined || his === undefined) throw new Error("Cannot go on: needs both sessions");
    await Promise.all([hers.untilOutput(/up/), his.untilOutput(/up/)]);
    await server().stop();
    const begunAt = performance.now();
    // Where her environment is stands in the database, so she is refused although it is known that she may.
    const known = await ivy.ssh(["shop-main@slipway", "echo in"]);
    expect(known).toMatchObject(DENIED);
    expect(known.stderr).toMatch(/the database does not answer \(session s-/);
    measured.push(`| a login refused while PostgreSQL is down | ${Math.round(known.ms)} ms |`);
    const takenAt = performance.now();
    github.world.removeCollaborator("acme/shop", "max");
    await his.untilError(/no collaborator of acme\/shop.*\(session s-/, pollMs + 2_000);
    measured.push(`| revoked while PostgreSQL is down, on the other | ${Math.round(performance.now() - takenAt)} ms |`);
    await mustBeOut(max, "shop-main");
    await sleep(Math.max(0, 8_000 - (performance.now() - begunAt)));
    await server().start();
    hers.stdin.end("still here\n");
    expect(await hers.ended).toMatchObject({ exitCode: 0, stdout: "up\nstill here\n" });
    for (const service of [one, other]) {
      await untilIn(service.as("ivy"), "shop-main");
      await mustBeOut(service.as("max"), "shop-main");
    }
  },
);

// Two that take themselves for the same one took away what the other was making: by a copy of the state folder on one database.
test("a second service on a copy of the state is refused at its start", { timeout: 120_000 }, async () => {
  await using two = await openTwo();
  const { other, databaseUrl } = two;
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const copy = join(other.folder, "copy");
  cpSync(other.stateFolder, copy, { recursive: true });
  const settings = JSON.parse(readFileSync(other.settingsFile, "utf8")) as Record<string, unknown>;
  const file = join(other.folder, "copy.yaml");
  writeFileSync(file, JSON.stringify({ ...settings, listen: { ssh: ["127.0.0.1:0"], http: null } }));
  const refused = await run([process.execPath, PROGRAM, "serve", "--settings", file], {
    env: {
      SLIPWAY_HOME: copy,
      DATABASE_URL: databaseUrl,
      FORGE_SECRET: privateKey.export({ type: "pkcs8", format: "pem" }),
    },
    timeoutMs: 30_000,
  });
  expect([refused.exitCode, refused.stderr]).toEqual([
    75,
    expect.stringContaining("another process on this state folder"),
  ]);
});

test("each has environments of its own, and leaves those of the other alone", { timeout: 120_000 }, async () => {
  await using two = await openTwo();
  const { github, one, other } = two;
  github.world.setCollaborator("acme/shop", "ivy", "push");
  const [here, there] = [one.as("ivy"), other.as("ivy")];
  await untilIn(here, "shop-main");
  await here.ssh(["shop-main@slipway", "echo first > mark"]);
  const live = here.startSsh(["shop-main@slipway", "echo up; cat"], { timeoutMs: 90_000 });
  await live.untilOutput(/up/);
  await untilIn(there, "shop-main");
  expect((await there.ssh(["shop-main@slipway", "cat mark"])).exitCode).toBe(1);
  await there.ssh(["shop-main@slipway", "echo second > mark"]);
  await other.stop();
  await other.restart();
  await other.kill9();
  await other.restart();
  expect((await there.ssh(["shop-main@slipway", "cat mark"])).stdout).toBe("second\n");
  live.stdin.end("still here\n");
  expect(await live.ended).toMatchObject({ exitCode: 0, stdout: "up\nstill here\n" });
  expect((await here.ssh(["shop-main@slipway", "cat mark"])).stdout).toBe("first\n");
  for (const service of [one, other]) {
    const rows = JSON.parse((await service.as("root").lobby("ls", "--all", "--json")).stdout) as unknown[];
    expect(rows).toHaveLength(1);
  }
  expect(await there.lobby("rm", "shop-main", "--force")).toMatchObject({ exitCode: 0 });
  expect((await here.ssh(["shop-main@slipway", "cat mark"])).stdout).toBe("first\n");
});

test(
  "one of them refreshes in the background, and the other takes over when it stops",
  { timeout: 120_000 },
  async () => {
    await using two = await openTwo({ isOtherByToken: true });
    const { github, one } = two;
    await sleep(3_000);
    expect(requestsByToken(github)).toEqual([]);
    expect(github.server.countRequests().get("GET /repos/{owner}/{repo}/collaborators")).toBe(1);
    const stoppedAt = performance.now();
    await one.stop();
    // It looks every 20 s whether somebody else does it.
    await until("the other to refresh", () => requestsByToken(github).length > 0, 25_000);
    measured.push(
      `| the other refreshes after a stop in good order | ${Math.round(performance.now() - stoppedAt)} ms |`,
    );
  },
);
