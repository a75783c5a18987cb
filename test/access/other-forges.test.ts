/**
 * A whole Slipway beside a GitLab and a Gitea: the first login, the clone by the service's own token, and both ways to
 * lose a right. What GitHub has beyond that is in the tests beside this one.
 *
 * @module
 */
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { makeClock } from "../../src/base/clock.ts";
import { mustBeCut, openEveryKind } from "../faults/every-kind.ts";
import { GiteaServer } from "../forges/gitea/gitea-server.ts";
import { GiteaWorld } from "../forges/gitea/world.ts";
import { GitlabServer } from "../forges/gitlab/gitlab-server.ts";
import { GitlabWorld } from "../forges/gitlab/world.ts";
import type { ForgeServer } from "../forges/lib/forge-server.ts";
import { readPublicKey } from "../harness/client.ts";
import { freePort } from "../harness/free-port.ts";
import { whyNoService } from "../harness/needs.ts";
import { openTestService, type TestService } from "../harness/service.ts";
import { until } from "../harness/wait.ts";
import { grepInside } from "./grep-inside.ts";

const TOKEN = "token-that-nobody-inside-may-see-0123456789";
const HOOK_SECRET = "hook-secret-that-nobody-inside-may-see";
const FILES = { main: { "README.md": "# shop\n" } };
const POLL_MS = 5_000;

/** A forge with a private acme/shop; ivy has an account there, and her key. */
interface Stage extends AsyncDisposable {
  readonly type: "gitlab" | "gitea";
  readonly http: ForgeServer;
  readonly apiUrl: string;
  addKey(line: string): void;
  give(): void;
  take(): void;
  block(): void;
  hookTo(url: string): void;
}

async function openGitlab(): Promise<Stage> {
  const world = new GitlabWorld();
  const server = await GitlabServer.open(world, makeClock());
  const robot = world.addUser("robot", { isAdmin: true });
  const acme = world.addGroup("acme");
  const shop = world.addProject("shop", acme);
  world.setMember(acme, robot, 50);
  world.addToken(TOKEN, robot);
  const ivy = world.addUser("ivy");
  await server.fill(shop, FILES);
  return {
    ...{ type: "gitlab", http: server.http, apiUrl: server.apiUrl },
    addKey: (line) => void world.addKey(ivy, line),
    give: () => world.setMember(shop, ivy, 30),
    take: () => world.removeMember(shop, ivy),
    block: () => world.setState(ivy, "blocked"),
    hookTo: (url) => void server.sendHooksTo(url, HOOK_SECRET),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function openGitea(): Promise<Stage> {
  const world = new GiteaWorld();
  const server = await GiteaServer.open(world, makeClock());
  const robot = world.addUser("robot", { isAdmin: true });
  const shop = world.addRepository("shop", world.addOrganization("acme", robot));
  world.addToken(TOKEN, robot);
  const ivy = world.addUser("ivy");
  await server.fill(shop, FILES);
  return {
    ...{ type: "gitea", http: server.http, apiUrl: server.apiUrl },
    addKey: (line) => void world.addKey(ivy, line),
    give: () => void shop.collaborators.set(ivy.id, "write"),
    take: () => void shop.collaborators.delete(ivy.id),
    block: () => {
      ivy.mayNotLogIn = true;
    },
    hookTo: (url) => void server.sendHooksTo(url, HOOK_SECRET),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function openServiceFor(stage: Stage, poll: string): Promise<TestService> {
  const webhooksPort = await freePort();
  const service = await openTestService({
    ...{ people: { root: {} }, strangers: ["ivy"], repositories: {} },
    listen: { webhooks: `127.0.0.1:${webhooksPort}` },
    env: { FORGE_SECRET: TOKEN, WEBHOOK_SECRET: HOOK_SECRET, GIT_SSL_CAINFO: stage.http.caFile },
    settings: {
      forges: {
        [stage.type]: {
          ...{ url: stage.http.httpsOrigin, apiUrl: stage.apiUrl, organizations: ["acme"], poll },
          ...{ tokenEnv: "FORGE_SECRET", webhook: { secretEnv: "WEBHOOK_SECRET" } },
        },
      },
    },
  });
  stage.addKey(readPublicKey(service.as("ivy").identityFile));
  stage.hookTo(`http://127.0.0.1:${webhooksPort}/webhooks/${stage.type}`);
  return service;
}

async function untilIn(service: TestService): Promise<void> {
  const ivy = service.as("ivy");
  await until("ivy to get in", async () => (await ivy.ssh(["shop-main@slipway", "true"])).exitCode === 0, 30_000);
}

const measured: string[] = [];
afterAll(() => {
  process.stdout.write(measured.map((line) => `${line}\n`).join(""));
});
beforeEach((context) => {
  const lacks = whyNoService();
  if (lacks !== undefined) context.skip(lacks);
});

interface Loss {
  readonly what: string;
  readonly by: "webhook" | "poll";
  readonly take: (stage: Stage) => void;
}

interface Case {
  readonly name: string;
  readonly open: () => Promise<Stage>;
  readonly losses: readonly Loss[];
}

const removed = { what: "removed as a member", take: (stage: Stage) => stage.take() };
const blocked: Loss = { what: "blocked", by: "poll", take: (stage) => stage.block() };
const cases: readonly Case[] = [
  { name: "GitLab", open: openGitlab, losses: [{ ...removed, by: "webhook" }, blocked] },
  // Its webhooks tell nothing of people.
  { name: "Gitea", open: openGitea, losses: [{ ...removed, by: "poll" }, blocked] },
];

describe.each(cases)("beside a $name", ({ name, open, losses }) => {
  test.each(losses)(
    "somebody whom it alone knows gets in, sees no credential, and is cut when $what, by $by",
    { timeout: 120_000 },
    async ({ what, by, take }) => {
      await using stage = await open();
      await using service = await openServiceFor(stage, by === "webhook" ? "10m" : `${POLL_MS / 1_000}s`);
      const ivy = service.as("ivy");
      expect(await ivy.ssh(["shop-main@slipway", "true"])).toMatchObject({ exitCode: 255 });
      stage.give();
      await untilIn(service);
      const first = await ivy.ssh(["shop-main@slipway", "cat README.md; echo $SLIPWAY_PERSON; cat .git/config"]);
      expect(first.stdout).toMatch(/^# shop\nivy\n/);
      // Pushed with the agent that the person lends, or not at all.
      expect(first.stdout).toContain('url = "git@127.0.0.1:acme/shop.git"');
      const whoami: unknown = JSON.parse((await ivy.lobby("whoami", "--json")).stdout);
      expect(whoami).toMatchObject({ name: "ivy", keyFrom: stage.type, account: { login: "ivy", state: "active" } });
      expect(await grepInside(ivy, "shop-main", ["# shop"])).toEqual([expect.stringMatching(/README\.md$/)]);
      expect(await grepInside(ivy, "shop-main", [TOKEN, HOOK_SECRET])).toEqual([]);
      for (const secret of [TOKEN, HOOK_SECRET]) expect(service.log()).not.toContain(secret);

      // Nobody has a role in the lobby: what ends sessions there is the account alone.
      const lobby = ivy.startSsh(["-N", "slip@slipway"], { timeoutMs: 60_000 });
      await until("the lobby", async () => (await ivy.lobby("who")).stdout.includes("\tslip\t"));
      const everyKind = await openEveryKind(ivy, "shop-main");
      const takenAt = performance.now();
      take(stage);
      const told = what === "blocked" ? /ivy|not among the keys/ : /no collaborator of acme\/shop/;
      const sentence = new RegExp(`(?:${told.source}).*\\(session s-[a-z0-9]{8}\\)`);
      await mustBeCut(everyKind, sentence, by === "webhook" ? 2_000 : POLL_MS + 2_000);
      if (what === "blocked") {
        await lobby.untilError(/suspended|no account ivy|not among the keys/, POLL_MS);
        expect(performance.now() - takenAt).toBeLessThan(POLL_MS + 2_000);
        expect(await ivy.lobby("ls")).toMatchObject({ exitCode: 255, stdout: "" });
      }
      lobby.kill();
      measured.push(`| ${name} | ${what} | ${by} | ${Math.round(performance.now() - takenAt)} ms |`);
      expect(await ivy.ssh(["shop-main@slipway", "echo in"])).toMatchObject({ exitCode: 255, stdout: "" });
    },
  );
});
