import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LABELS } from "../../src/policy/kubernetes/labels.ts";
import type { ClusterApi } from "../../src/runtime/kubernetes/api/cluster-api.ts";
import { kinds, type KubernetesObject } from "../../src/wire/kubernetes.ts";
import type { PoolExplanation } from "../../src/wire/lobby.ts";
import type { Client } from "../harness/client.ts";
import type { TestService } from "../harness/service.ts";
import { until } from "../harness/wait.ts";
import { askControl } from "./ask-control.ts";
import { openClusterService } from "./open-cluster-service.ts";
import { pushFiles } from "./repository-changes.ts";
import { openApi } from "./use-cluster.ts";

const SERVED = "/tmp/served";
const DEFINITION = {
  containerEnv: { GREETING: "Hello" },
  remoteEnv: { EDITOR: "vi" },
  onCreateCommand: "echo baked >.made",
  customizations: {
    slipway: { run: `echo "$GREETING $SLIPWAY_PERSON $SLIPWAY_BRANCH" >${SERVED}; exec sleep 1000000` },
  },
};

/** A machine with other work: a member takes 3 s to 30 s to be made. */
const FILLED_MS = 100_000;
const timeoutMs = 60_000;
const signal = (): AbortSignal => AbortSignal.timeout(timeoutMs);

let service: TestService;
let api: ClusterApi;
let ada: Client;
let bob: Client;

beforeAll(async () => {
  service = await openClusterService({
    people: { ada: {}, bob: {} },
    repositories: {
      hello: { definition: JSON.stringify(DEFINITION), branches: ["feature/greeting"] },
      nested: { definition: null, files: { ".devcontainer/api/devcontainer.json": JSON.stringify(DEFINITION) } },
      several: {
        definition: null,
        files: { ".devcontainer/api/devcontainer.json": "{}", ".devcontainer/web/devcontainer.json": "{}" },
      },
      bad: { definition: JSON.stringify({ onCreateCommand: "echo no such thing >&2; exit 3" }) },
    },
    // Many members beside those of other tests, on a node with two processors.
    cluster: { tiers: { lightweight: { request: 0.02 } } },
    settings: { pools: { hello: { repository: "hello", size: 2 }, bad: { repository: "bad", size: 1 } } },
  });
  ada = service.as("ada");
  bob = service.as("bob");
  api = await openApi();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

async function explain(pool: string): Promise<PoolExplanation> {
  return askControl(service, "/pools/explain", { name: pool });
}

/** Waits until a pool has as many ready members as it wants, and nothing else. */
async function untilFilled(pool: string, count: number): Promise<PoolExplanation> {
  const look = async (): Promise<PoolExplanation | undefined> => {
    const seen = await explain(pool);
    return seen.ready === count && seen.members.length === count ? seen : undefined;
  };
  return until(`${count} members of ${pool}`, look, FILLED_MS);
}

/** What the cluster has of a pool, that is not on its way out. */
async function namespacesOf(pool: string): Promise<readonly KubernetesObject[]> {
  const all = await api.list(kinds.namespace, { labelSelector: `${LABELS.pool}=${pool}` }, signal());
  const prefix = prefixOf(service);
  return all.filter(({ metadata }) => metadata.name.startsWith(prefix) && metadata.deletionTimestamp === undefined);
}

function prefixOf({ settingsFile }: TestService): string {
  const { clusters } = readSettings(settingsFile);
  return clusters["one"]?.namespacePrefix ?? "";
}

interface SettingsFile {
  clusters: Record<string, { namespacePrefix: string }>;
  pools: Record<string, { repository: string; size: number }>;
}

function readSettings(path: string): SettingsFile {
  return JSON.parse(readFileSync(path, "utf8")) as SettingsFile;
}

/** Removes the pods of a member at once, as when their node is gone. */
async function killPods(id: string): Promise<void> {
  const pods = await api.list(kinds.pod, { labelSelector: `${LABELS.environment}=${id}` }, signal());
  for (const { metadata } of pods) {
    const { namespace = "", name } = metadata;
    await api.remove({ of: kinds.pod, namespace, name }, { graceSeconds: 0 }, signal());
  }
}

async function enter(client: Client, login: string, script: string): Promise<{ stdout: string; stderr: string }> {
  const { exitCode, stdout, stderr } = await client.ssh([`${login}@slipway`, script], { timeoutMs });
  expect({ exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({ exitCode: 0, stderr: "" });
  return { stdout, stderr };
}

test("a login gets a member that waited, with the branch, author, variables and service of its person", async ({
  annotate,
}) => {
  const { members } = await untilFilled("hello", 2);
  const { stdout, stderr } = await enter(
    ada,
    "hello-feature-greeting",
    `echo "$SLIPWAY_ENVIRONMENT"; git branch --show-current; git config user.name; cat .made; echo "$EDITOR $SLIPWAY_PERSON"
     until [ -s ${SERVED} ]; do sleep 0.1; done; cat ${SERVED}`,
  );
  const [id, ...rest] = stdout.trimEnd().split("\n");
  expect(members.map((member) => member.id)).toContain(id);
  expect(rest).toEqual(["feature/greeting", "ada", "baked", "vi ada", "Hello ada feature/greeting"]);
  expect(stderr).toContain("claiming a prepared environment");
  const { sinceStart, refillP50Ms } = await untilFilled("hello", 2);
  expect(sinceStart).toEqual({ hits: 1, misses: 0, hitRatio: 1 });
  await annotate(`half of the members were made within ${refillP50Ms ?? "?"} ms`);
  expect(await service.slip("pool", "ls")).toMatch(/^hello\thello\tany\t2\/2 ready\t0 filling\t0 failed\t100 %$/m);
});

test("a member follows the default branch that moved on since it was made", async () => {
  await untilFilled("hello", 2);
  await pushFiles(service, { repository: "hello", branch: "main" }, { NEWS: "of today\n" });
  const { stdout, stderr } = await enter(bob, "hello-main", "cat NEWS; git status --short; git log origin/main..");
  expect(stdout).toBe("of today\n");
  expect(stderr).toContain("claiming a prepared environment");
});

test("a member whose pod is gone is passed over, and where all are gone the login is told why it waits", async () => {
  const { members } = await untilFilled("hello", 2);
  await killPods(members[0]?.id ?? "");
  await pushFiles(service, { repository: "hello", branch: "one-dead" }, { A: "a" });
  const next = await enter(ada, "hello-one-dead", 'echo "$SLIPWAY_ENVIRONMENT"');
  expect(next.stdout).toBe(`${members[1]?.id ?? ""}\n`);

  const { members: others } = await untilFilled("hello", 2);
  for (const { id } of others) await killPods(id);
  await pushFiles(service, { repository: "hello", branch: "all-dead" }, { A: "a" });
  const { stderr } = await enter(ada, "hello-all-dead", "git branch --show-current");
  expect(stderr).toMatch(/made anew: pool member of no use: /);
  expect(Object.keys((await explain("hello")).missesBecause)).toEqual(["member unfit"]);
});

test("an environment that is defined otherwise is made anew, and its person is told in what it differs", async () => {
  const definition = JSON.stringify({ ...DEFINITION, containerEnv: { GREETING: "Good morning" } });
  const files = { ".devcontainer/devcontainer.json": definition };
  await pushFiles(service, { repository: "hello", branch: "otherwise" }, files);
  const { stdout, stderr } = await enter(ada, "hello-otherwise", 'echo "$GREETING"');
  expect(stdout).toBe("Good morning\n");
  expect(stderr).toContain("made anew: definition differs from the pool's: containerEnv");
});

/** A definition in a folder of its own, as the specification allows, was ignored without a word. */
test("the one definition in a folder of its own counts, and of several none, which is told", async () => {
  expect((await enter(ada, "nested-main", 'echo "$GREETING"')).stdout).toBe(`${DEFINITION.containerEnv.GREETING}\n`);
  expect((await enter(ada, "several-main", "true")).stderr).toContain(
    "slipway: none of .devcontainer/api/devcontainer.json, .devcontainer/web/devcontainer.json is used: ",
  );
});

test("a pool whose members all fail stops after three, keeps one to be looked at and says what is wrong", async () => {
  const look = async (): Promise<PoolExplanation | undefined> => {
    const seen = await explain("bad");
    return seen.pausedBecause !== undefined && seen.members.length === 1 ? seen : undefined;
  };
  const { pausedBecause, failedMember, ready } = await until("the pool to be paused", look, FILLED_MS);
  expect([pausedBecause, failedMember?.reason, ready]).toEqual([
    "onCreateCommand failed with exit code 3",
    "onCreateCommand failed with exit code 3",
    0,
  ]);
  expect(await service.slip("pool", "explain", "bad")).toMatch(
    /^paused\tuntil .*: onCreateCommand failed with exit code 3$/m,
  );
  await until("one namespace", async () => (await namespacesOf("bad")).length === 1, FILLED_MS);
  const { stderr } = await enter(bob, "bad-main", "true");
  expect(stderr).toContain("made anew: pool paused: onCreateCommand failed with exit code 3");
});

test("a service that is killed while it fills goes on, and has no more than it wants", async () => {
  await pushFiles(service, { repository: "hello", branch: "to-refill" }, { A: "a" });
  await untilFilled("hello", 2);
  await enter(bob, "hello-to-refill", "true");
  await until("a member that is being made", async () => (await explain("hello")).filling > 0, FILLED_MS);
  await service.kill9();
  await service.restart();
  const { members } = await untilFilled("hello", 2);
  const names = members.map(({ id }) => `${prefixOf(service)}${id}`).toSorted();
  const look = async () => (await namespacesOf("hello")).map(({ metadata }) => metadata.name).toSorted();
  await until("two namespaces", async () => (await look()).length === 2, FILLED_MS);
  expect(await look()).toEqual(names);
});

test("a pool that the settings make smaller shrinks at once", async () => {
  const settings = readSettings(service.settingsFile);
  settings.pools = { hello: { repository: "hello", size: 1 } };
  await service.stop();
  writeFileSync(service.settingsFile, JSON.stringify(settings));
  await service.restart();
  await untilFilled("hello", 1);
  await until("one namespace", async () => (await namespacesOf("hello")).length === 1, FILLED_MS);
  await until("none of the pool that is no more", async () => (await namespacesOf("bad")).length === 0, FILLED_MS);
});
