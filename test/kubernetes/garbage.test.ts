/**
 * `slip gc` of two services on one cluster, whose namespaces are even called alike: each clears away what its own database
 * has forgotten, and nothing of the other.
 *
 * @module
 */
import { copyFileSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { ClusterApi } from "../../src/runtime/kubernetes/api/cluster-api.ts";
import { kinds } from "../../src/wire/kubernetes.ts";
import { GarbageReport } from "../../src/wire/garbage.ts";
import { openTestService, type TestService } from "../harness/service.ts";
import { until } from "../harness/wait.ts";
import { HOOK_MS, makePrefix, SLOW_MS, tellLog } from "./faults/use-faulty.ts";
import { LATE } from "./late.ts";
import { clusterSettings } from "./open-cluster-service.ts";
import { openApi } from "./use-cluster.ts";

const namespacePrefix = makePrefix();
const BRANCHES = ["known", "forgotten", "worked"];
let one: TestService;
let other: TestService;
let api: ClusterApi;

beforeAll(async () => {
  const open = (): Promise<TestService> =>
    openTestService({
      env: LATE,
      repositories: { plain: { definition: "{}", branches: BRANCHES } },
      settings: { clusters: { one: clusterSettings({ cluster: { namespacePrefix } }) } },
    });
  api = await openApi();
  [one, other] = [await open(), await open()];
}, HOOK_MS);

beforeEach(() => {
  for (const service of [one, other]) tellLog(service);
});

afterAll(async () => {
  await Promise.all([one, other].map((service) => service[Symbol.asyncDispose]()));
  for (const name of await namespaces()) await api.remove({ of: kinds.namespace, name }, {}, soon());
  await api[Symbol.asyncDispose]();
}, HOOK_MS);

const soon = (): AbortSignal => AbortSignal.timeout(SLOW_MS);

/** Those of both. */
async function namespaces(): Promise<string[]> {
  const all = await api.list(kinds.namespace, {}, soon());
  return all.map(({ metadata }) => metadata.name).filter((name) => name.startsWith(namespacePrefix));
}

/** Logs in. @returns the id of the environment */
async function enter(service: TestService, branch: string, line = "true"): Promise<string> {
  const words = [`plain-${branch}@slipway`, `${line} >&2; echo $SLIPWAY_ENVIRONMENT`];
  const { exitCode, stdout, stderr } = await service.as("ada").ssh(words, { timeoutMs: SLOW_MS });
  expect(exitCode, stderr).toBe(0);
  return stdout.trim();
}

interface Made {
  readonly known: string;
  readonly forgotten: string;
  readonly worked: string;
}

/** Makes three environments, and has the database forget the last two, as one does that is restored. */
async function makeAndForget(service: TestService): Promise<Made> {
  const known = await enter(service, "known");
  await service.stop();
  const [database, backup] = ["slipway.db", "backup.db"].map((name) => join(service.stateFolder, name)) as [
    string,
    string,
  ];
  copyFileSync(database, backup);
  await service.restart();
  const [forgotten, worked] = [await enter(service, "forgotten"), await enter(service, "worked", "echo mine >kept")];
  await service.stop();
  for (const tail of ["-wal", "-shm"]) if (existsSync(`${database}${tail}`)) rmSync(`${database}${tail}`);
  copyFileSync(backup, database);
  rmSync(backup);
  await service.restart();
  return { known, forgotten, worked };
}

async function sweep(service: TestService, ...words: readonly string[]): Promise<GarbageReport> {
  return GarbageReport.parse(JSON.parse(await service.slip("gc", "--json", ...words)));
}

function outcomes({ rows, away }: GarbageReport): unknown {
  expect(away).toEqual([]);
  return rows.map(({ id, outcome }) => [id, outcome]).toSorted();
}

test(
  "gc clears away what its own database forgot and nobody works in, and never anything of another service",
  { timeout: HOOK_MS },
  async () => {
    const [mine, theirs] = [await makeAndForget(one), await makeAndForget(other)];
    const before = await namespaces();
    expect(before).toHaveLength(6);
    const expected = [
      [mine.forgotten, "removed"],
      [mine.worked, "kept"],
    ].toSorted();
    expect(outcomes(await sweep(one, "--dry-run"))).toEqual(expected);
    expect((await namespaces()).toSorted()).toEqual(before.toSorted());

    expect(outcomes(await sweep(one))).toEqual(expected);
    const left = before.filter((name) => name !== `${namespacePrefix}${mine.forgotten}`).toSorted();
    await until("what was forgotten to go", async () => (await namespaces()).length < before.length, SLOW_MS);
    expect((await namespaces()).toSorted()).toEqual(left);
    expect(outcomes(await sweep(one))).toEqual([[mine.worked, "kept"]]);

    // Its own work is all there, and so is what the other forgot, which is for the other alone to judge.
    expect(await enter(one, "known")).toBe(mine.known);
    expect(await enter(other, "known")).toBe(theirs.known);
    expect(outcomes(await sweep(other, "--dry-run"))).toEqual(
      [
        [theirs.forgotten, "removed"],
        [theirs.worked, "kept"],
      ].toSorted(),
    );
  },
);
