/**
 * Each way for a forge to be away × each thing that people do meanwhile: who was known gets in by the last good answer and
 * is told so, who was not does not, sessions go on, and after the grace time nothing does.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { Github } from "../forges/github/github.ts";
import type { Trouble } from "../forges/lib/troubles.ts";
import { oneIn } from "../harness/rounds.ts";
import { until } from "../harness/wait.ts";
import { openForgeService, skipWithoutService } from "./open-forge-service.ts";

skipWithoutService();

/** With the shortest interval that can be set, so that what was verified is soon too old to do without asking. */
const POLL_MS = 5_000;
/** A decision waits so long for the forge; the rest is an ssh, and a machine that does other things too. */
const LOGIN_MS = 2_000 + 1_500;

/** GitHub says when there will be more, and is not asked before. */
const RATIONED = "has no requests left for us";

/** Begins an outage. @returns what ends it */
type Outage = (github: Github) => Promise<() => Promise<void>>;

const trouble =
  (what: Trouble): Outage =>
  async ({ server }) => {
    const ongoing = await server.trouble(what);
    return () => ongoing.end();
  };

const outages: Readonly<Record<string, Outage>> = {
  "refuses connections": trouble({ type: "refuse" }),
  "resets connections": trouble({ type: "reset" }),
  "does not answer": trouble({ type: "hang" }),
  "answers after 10 s": trouble({ type: "slow", ms: 10_000 }),
  "answers 500": trouble({ type: "status", status: 500, body: "json" }),
  "answers 502 with a page of a proxy": trouble({ type: "status", status: 502, body: "html" }),
  "cuts its answers short": trouble({ type: "truncated" }),
  "answers what is no JSON": trouble({ type: "garbage" }),
  "answers 401": trouble({ type: "status", status: 401, body: "json" }),
  [RATIONED]: async ({ limits }) => {
    limits.exhaust();
    return async () => undefined;
  },
};

const LETS_IN = /slipway: github cannot be reached; you are let in by what it said at 20/;

// At the same time: each has a world of its own, and waits most of it.
test.concurrent.for(Object.keys(outages))(
  "while the forge %s, the last good answer holds for those it knew, and nobody new gets in",
  { timeout: 120_000 },
  async (name, ctx) => {
    oneIn(3, Object.keys(outages).indexOf(name), ctx);
    await using world = await openForgeService({
      forge: { poll: `${POLL_MS / 1_000}s` },
      byToken: true,
    });
    const { github, service } = world;
    const [ivy, max] = [service.as("ivy"), service.as("max")];
    github.world.setCollaborator("acme/shop", "ivy", "push");
    await until("ivy to get in", async () => (await ivy.ssh(["shop-main@slipway", "true"])).exitCode === 0, 30_000);
    const live = ivy.startSsh(["shop-main@slipway", "echo up; cat"], { timeoutMs: 60_000 });
    await live.untilOutput(/up/);

    const end = await outages[name]?.(github);
    github.world.setCollaborator("acme/shop", "max", "push");
    await new Promise((resolve) => setTimeout(resolve, POLL_MS + 500));

    const known = await ivy.ssh(["shop-main@slipway", "echo in"]);
    expect(known).toMatchObject({ exitCode: 0, stdout: "in\n" });
    expect(known.stderr).toMatch(LETS_IN);
    expect(known.ms).toBeLessThan(LOGIN_MS);
    const lobby = await ivy.lobby("ls");
    expect(lobby).toMatchObject({ exitCode: 0 });
    // "Not modified" has no body that could be cut or garbled: of the keys alone, that is a whole answer.
    if (!name.includes("answers short") && !name.includes("no JSON")) expect(lobby.stderr).toMatch(LETS_IN);
    expect(lobby.ms).toBeLessThan(LOGIN_MS);
    const fresh = await max.ssh(["shop-main@slipway", "echo in"]);
    expect(fresh).toMatchObject({ exitCode: 255, stdout: "" });
    expect(fresh.ms).toBeLessThan(LOGIN_MS);
    live.stdin.end("still here\n");
    expect(await live.ended).toMatchObject({ exitCode: 0, stdout: "up\nstill here\n" });
    expect(service.events("access.stale")).not.toEqual([]);
    const metrics = await (await fetch(`http://127.0.0.1:${service.httpPort}/metrics`)).text();
    expect(metrics).toMatch(/^slipway_logins_stale_total [1-9]/m);

    await end?.();
    if (name === RATIONED) return;
    await until(
      "max to get in once the forge is back",
      async () => (await max.ssh(["shop-main@slipway", "true"])).exitCode === 0,
      40_000,
    );
  },
);

test("after the grace time live sessions end, and nobody gets in, with the reason", { timeout: 120_000 }, async () => {
  const graceMs = 12_000;
  await using world = await openForgeService({ forge: { poll: "5s", grace: `${graceMs / 1_000}s` }, byToken: true });
  const { github, service } = world;
  const ivy = service.as("ivy");
  github.world.setCollaborator("acme/shop", "ivy", "push");
  await until("ivy to get in", async () => (await ivy.ssh(["shop-main@slipway", "true"])).exitCode === 0, 30_000);
  const live = ivy.startSsh(["-N", "shop-main@slipway"], { timeoutMs: 60_000 });
  await until("the session", async () => (await ivy.lobby("who")).stdout.includes("shop-main"));

  await github.server.trouble({ type: "refuse" });
  const begunAt = performance.now();
  const readMetrics = async (): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${service.httpPort}/metrics`)).text();
  const isLate = async (): Promise<boolean> =>
    /^slipway_forge_watched_late_seconds\{forge="github"\} [1-9]/m.test(await readMetrics());
  await until("the answer that the session rests on to be late", isLate, graceMs);
  await live.untilError(/github could not be asked.*\(session s-/, graceMs + 5_000);
  const heldMs = performance.now() - begunAt;
  expect(heldMs).toBeGreaterThan(graceMs - 6_000);
  expect(heldMs).toBeLessThan(graceMs + 2_000);
  expect((await live.ended).exitCode).toBe(255);
  const refused = await ivy.ssh(["shop-main@slipway", "true"]);
  expect(refused).toMatchObject({ exitCode: 255 });
  expect(refused.stderr).toMatch(/github could not be asked/);
  const metrics = await readMetrics();
  expect(metrics).toMatch(/^slipway_forge_reached\{forge="github"\} 0$/m);
  expect(metrics).toMatch(/^slipway_sessions_revoked_total 1$/m);
  expect(metrics).toMatch(/^slipway_forge_watched_late_seconds\{forge="github"\} 0$/m);
});

test("what the forge said survives a kill -9 and a start while the forge is away", { timeout: 120_000 }, async () => {
  await using world = await openForgeService({ forge: { poll: "5s" }, byToken: true });
  const { github, service } = world;
  const [ivy, max] = [service.as("ivy"), service.as("max")];
  github.world.setCollaborator("acme/shop", "ivy", "push");
  await until("ivy to get in", async () => (await ivy.ssh(["shop-main@slipway", "true"])).exitCode === 0, 30_000);
  await github.server.trouble({ type: "refuse" });
  await service.kill9();
  await service.restart();
  await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  const known = await ivy.ssh(["shop-main@slipway", "echo in"]);
  expect(known).toMatchObject({ exitCode: 0, stdout: "in\n" });
  expect(known.stderr).toMatch(LETS_IN);
  expect(await max.ssh(["shop-main@slipway", "true"])).toMatchObject({ exitCode: 255 });
});
