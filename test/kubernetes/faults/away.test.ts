/**
 * A cluster that falls apart part by part: its API server, etcd and kubelet are killed and come back. Sessions go on or end
 * loudly, new logins are refused with a sentence, a cluster beside it notices nothing, and all is well again by itself.
 *
 * @module
 */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Component } from "../../cluster/components.ts";
import type { TestCluster } from "../../cluster/open-cluster.ts";
import type { Running } from "../../harness/program.ts";
import { openTestService, type TestService } from "../../harness/service.ts";
import { until } from "../../harness/wait.ts";
import { clusterSettings } from "../open-cluster-service.ts";
import { openSecond, whyNoSecond } from "../second-cluster.ts";
import { type Faulty, HOOK_MS, lobby, makeFaulty, makePrefix, SLOW_MS, tellLog } from "./use-faulty.ts";

/** A refusal takes no longer: "within seconds", on a machine that has other work. */
const REFUSED_MS = 20_000;

let broken: TestCluster;
let faulty: Faulty;
let service: TestService | undefined;

const definition = (place: string): string =>
  JSON.stringify({ customizations: { slipway: { placement: { labels: { place } } } } });

const why = whyNoSecond();

beforeAll(async () => {
  if (why !== undefined) return;
  broken = await openSecond();
  const prefix = makePrefix();
  const clusters = {
    broken: clusterSettings({
      kubeconfig: broken.kubeconfig,
      cluster: { namespacePrefix: prefix, labels: { place: "broken" } },
    }),
    well: clusterSettings({ cluster: { namespacePrefix: prefix, labels: { place: "well" } } }),
  };
  service = await openTestService({
    repositories: {
      shaky: { definition: definition("broken"), branches: ["other"] },
      calm: { definition: definition("well"), branches: ["other", "third", "fourth"] },
    },
    settings: { clusters },
    mayLogErrors: true,
  });
  faulty = makeFaulty(service, prefix, broken.kubeconfig);
}, 2 * HOOK_MS);

beforeEach((context) => {
  if (why !== undefined) context.skip(why);
  tellLog(faulty.service);
});

afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
}, HOOK_MS);

function ada() {
  return faulty.service.as("ada");
}

async function enter(login: string, line: string) {
  return ada().ssh([`${login}@slipway`, line], { timeoutMs: SLOW_MS });
}

async function openSession(login: string): Promise<Running> {
  const session = ada().startSsh([`${login}@slipway`, "echo up; exec cat"], { timeoutMs: HOOK_MS });
  await session.untilOutput(/up/, SLOW_MS);
  return session;
}

/** Says whether a session still answers, `undefined` when it has ended loudly; anything else is a failure. */
async function mustGoOnOrBeLoud(session: Running): Promise<"goes on" | "ended loudly"> {
  session.stdin.write("echoed\n");
  try {
    await session.untilOutput(/echoed/, 30_000);
    session.stdin.end();
    expect((await session.ended).exitCode).toBe(0);
    return "goes on";
  } catch {
    const { exitCode, stderr } = await session.ended;
    expect([exitCode, stderr]).toEqual([255, expect.stringMatching(/the environment ended this session/)]);
    return "ended loudly";
  }
}

async function mustBeWhole(): Promise<void> {
  const look = async (): Promise<boolean> => (await enter("shaky-main", "cat kept")).stdout === "mine\n";
  await until("the environment to be entered again", look, HOOK_MS);
  expect(await faulty.namespaces()).toHaveLength(1);
}

const AWAY: readonly Component[] = ["apiserver", "etcd", "kubelet"];

test.for(AWAY)(
  "a cluster whose %s was killed is used again when that is back",
  { timeout: 2 * HOOK_MS },
  async (component) => {
    expect((await enter("shaky-main", "echo mine >kept")).exitCode).toBe(0);
    expect((await enter("calm-main", "true")).exitCode).toBe(0);
    const [session, beside] = await Promise.all([openSession("shaky-main"), openSession("calm-main")]);
    await broken.kill(component);
    await broken.start(component);
    const how = await mustGoOnOrBeLoud(session);
    process.stderr.write(`away: a session through a restart of ${component} ${how}\n`);
    expect(await mustGoOnOrBeLoud(beside)).toBe("goes on");
    await mustBeWhole();
  },
);

test(
  "while an API server is away its logins are refused at once, and all others are as ever",
  { timeout: 2 * HOOK_MS },
  async () => {
    expect((await enter("shaky-main", "echo mine >kept")).exitCode).toBe(0);
    await broken.kill("apiserver");
    for (const login of ["shaky-other", "shaky-main"]) {
      const refused = await enter(login, "true");
      process.stderr.write(`away: ${login} was refused after ${Math.round(refused.ms)} ms\n`);
      expect(refused.exitCode).toBe(255);
      expect(refused.ms).toBeLessThan(REFUSED_MS);
      expect(refused.stderr).toMatch(/broken"? (is away|does not answer)/);
    }
    expect((await enter("calm-other", "true")).exitCode).toBe(0);

    // Nor does the service need it to start.
    await faulty.service.kill9();
    await faulty.service.restart();
    const refused = await enter("shaky-main", "true");
    expect([refused.exitCode, refused.stderr]).toEqual([
      255,
      expect.stringMatching(/broken"? (is away|does not answer)/),
    ]);
    expect((await enter("calm-third", "true")).exitCode).toBe(0);

    await broken.start("apiserver");
    await broken.untilReady();
    await mustBeWhole();
  },
);

test("an environment is removed for good although its node is away for a while", { timeout: 2 * HOOK_MS }, async () => {
  expect((await enter("shaky-main", "true")).exitCode).toBe(0);
  await broken.kill("kubelet");
  const removal = lobby(ada(), "rm", "shaky-main", "--force");
  await until("the removal to begin", () => faulty.service.events("environment.removed").length > 0);
  await broken.start("kubelet");
  await removal;
  await until("its end", async () => (await faulty.namespaces()).length === 0, HOOK_MS);
});
