/**
 * Two services that take themselves for the same one, on one database, both at work at once: made by whoever starts a second from a
 * copy of the state folder. One of them may be refused; but no login ever has two environments, no pool more members than
 * it is to have but for a moment, and nothing is left over.
 *
 * @module
 */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, onTestFailed, test } from "vitest";
import { LABELS } from "../../../src/policy/kubernetes/labels.ts";
import { openTestPostgres, type TestPostgres, whyNoPostgres } from "../../harness/postgres.ts";
import type { Ended } from "../../harness/program.ts";
import { until } from "../../harness/wait.ts";
import { askControl } from "../ask-control.ts";
import { startTwin, type Twin } from "./start-twin.ts";
import { type Faulty, HOOK_MS, lobby, openFaulty, SLOW_MS, tellLog } from "./use-faulty.ts";

const BRANCHES = ["b0", "b1", "b2", "b3"];
const SIZE = 2;
/** Whoever loses is refused with a sentence, whatever the other did to them. */
const REFUSED = /Received disconnect from .* \(session s-[a-z0-9]+\)/;

const why = whyNoPostgres();
let postgres: TestPostgres;
let faulty: Faulty;
let twin: Twin;

beforeAll(async () => {
  if (why !== undefined) return;
  postgres = await openTestPostgres();
  const env = { SLIPWAY_TEST_DATABASE: await postgres.url() };
  faulty = await openFaulty({
    env,
    repositories: { plain: { definition: "{}", branches: BRANCHES }, pooled: { definition: "{}", branches: BRANCHES } },
    cluster: { tiers: { lightweight: { request: 0.02 } } },
    settings: {
      database: { urlEnv: "SLIPWAY_TEST_DATABASE" },
      pools: { pooled: { repository: "pooled", size: SIZE } },
    },
  });
  const { service } = faulty;
  await service.stop();
  const copy = join(service.folder, "twin");
  cpSync(service.stateFolder, copy, { recursive: true });
  await service.restart();
  twin = await startTwin(service, copy, env);
}, HOOK_MS);

beforeEach((context) => {
  if (why !== undefined) context.skip(why);
  tellLog(faulty.service);
  const before = twin.log().length;
  onTestFailed(() => {
    process.stderr.write(`the twin logged:\n${twin.log().slice(before).split("\n").slice(-40).join("\n")}\n`);
  });
});

afterAll(async () => {
  if (why !== undefined) return;
  await twin[Symbol.asyncDispose]();
  await faulty.service[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
}, HOOK_MS);

/** Says the same to both at once, to the second a little later. */
async function toBoth(words: readonly string[], laterMs = 0): Promise<readonly [Ended, Ended]> {
  const ada = faulty.service.as("ada");
  const second = async (): Promise<Ended> => {
    await new Promise((resolve) => setTimeout(resolve, laterMs));
    return twin.ssh(ada, words);
  };
  return Promise.all([ada.ssh(words, { timeoutMs: SLOW_MS }), second()]);
}

/** Says whether one of the two lets one in; whoever does not has to say so. */
async function isLetIn(login: string, laterMs: number): Promise<boolean> {
  const ended = await toBoth([`${login}@slipway`, "true"], laterMs);
  for (const { exitCode, stderr } of ended) if (exitCode !== 0) expect(stderr).toMatch(REFUSED);
  return ended.some(({ exitCode }) => exitCode === 0);
}

/** Logs in to one of them until it lets one in. @returns the id of the environment */
async function claim(branch: string, isFirst: boolean): Promise<string> {
  const words = [`pooled-${branch}@slipway`, "echo $SLIPWAY_ENVIRONMENT"];
  const ada = faulty.service.as("ada");
  const look = async (): Promise<string | undefined> => {
    const ended = await (isFirst ? ada.ssh(words, { timeoutMs: SLOW_MS }) : twin.ssh(ada, words));
    if (ended.exitCode !== 0) expect(ended.stderr).toMatch(REFUSED);
    return ended.exitCode === 0 ? ended.stdout.trim() : undefined;
  };
  return until(`an environment of ${branch}`, look, HOOK_MS);
}

async function loginsOnCluster(): Promise<string[]> {
  const said = await faulty.kubectl(
    "get",
    "namespaces",
    "-o",
    `jsonpath={range .items[?(@.metadata.annotations.slipway\\.dev/login)]}{.metadata.name} {.metadata.annotations.slipway\\.dev/login} {.metadata.deletionTimestamp}{"\\n"}{end}`,
  );
  const rows = said.split("\n").map((line) => line.split(" "));
  return rows.flatMap(([name = "", login = "", deletedAt]) =>
    name.startsWith(faulty.prefix) && deletedAt === "" ? [login] : [],
  );
}

/** What the cluster has of the pool and is not on its way out, whoever made it. */
async function membersOnCluster(): Promise<number> {
  const format = `jsonpath={range .items[*]}{.metadata.name} {.metadata.deletionTimestamp}{"\\n"}{end}`;
  const said = await faulty.kubectl("get", "namespaces", "-l", `${LABELS.pool}=pooled`, "-o", format);
  return said.split("\n").filter((line) => line.startsWith(faulty.prefix) && line.endsWith(" ")).length;
}

test.for([0, 300, 1_500])(
  "logins made and removed by both at once, %i ms apart, have one environment each, and then none",
  { timeout: 2 * HOOK_MS },
  async (laterMs) => {
    const logins = BRANCHES.map((branch) => `plain-${branch}`);
    // One that goes on with what the other has begun may be in its way so that both are refused: then the next try decides.
    await Promise.all(
      logins.map(async (login) => until(`somebody in ${login}`, () => isLetIn(login, laterMs), HOOK_MS)),
    );
    const look = async (): Promise<boolean> =>
      (await loginsOnCluster())
        .filter((login) => login.startsWith("plain-"))
        .toSorted()
        .join() === logins.join();
    await until("one environment of each login", look, SLOW_MS);

    const removed = await Promise.all(logins.map((login) => toBoth(["slip@slipway", "rm", login, "--force"], laterMs)));
    for (const ended of removed) {
      expect(
        ended.some(({ exitCode }) => exitCode === 0),
        ended.map(({ stderr }) => stderr).join(),
      ).toBe(true);
    }
    await until("no environment", async () => (await loginsOnCluster()).length === 0, SLOW_MS);
    expect(JSON.parse((await lobby(faulty.service.as("ada"), "ls", "--json")).stdout)).toEqual([]);
  },
);

test(
  "a pool that both keep has its members and no more, and each is claimed by one",
  { timeout: 3 * HOOK_MS },
  async ({ annotate }) => {
    const isFull = async (): Promise<boolean> => {
      const { ready, members } = await askControl(faulty.service, "/pools/explain", { name: "pooled" });
      return ready === SIZE && members.length === SIZE && (await membersOnCluster()) === SIZE;
    };
    await until("a full pool", isFull, HOOK_MS);
    const ids = await Promise.all(BRANCHES.map((branch, at) => claim(branch, at % 2 === 0)));
    expect(new Set(ids).size).toBe(BRANCHES.length);
    const since = performance.now();
    let most = 0;
    await until(
      "a full pool again",
      async () => {
        most = Math.max(most, await membersOnCluster());
        return isFull();
      },
      HOOK_MS,
    );
    await annotate(
      `refilled after ${Math.round((performance.now() - since) / 1_000)} s, with ${most} at most meanwhile`,
    );
    // Each of the two may begin to make all that is missing before it sees what the other has begun.
    expect(most).toBeLessThanOrEqual(2 * SIZE);
    expect((await loginsOnCluster()).toSorted()).toEqual(BRANCHES.map((branch) => `pooled-${branch}`));
    for (const branch of BRANCHES) {
      const removed = await lobby(faulty.service.as("ada"), "rm", `pooled-${branch}`, "--force");
      expect(removed.exitCode, removed.stderr).toBe(0);
    }
    await until("the members alone", async () => (await faulty.namespaces()).length === SIZE, SLOW_MS);
    expect(await isFull()).toBe(true);
  },
);
