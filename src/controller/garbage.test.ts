import { beforeEach, expect, test, vi } from "vitest";
import { type ClusterWorld, makeClusterWorld } from "../../test/fakes/cluster-world.ts";
import { never } from "../../test/fakes/controller-world.ts";
import { type FakeEnvironment, NOTHING_UNSAVED } from "../../test/fakes/fake-runtime.ts";
import { SOON } from "../../test/harness/wait.ts";
import type { Environments } from "./environments.ts";

const MINUTE_MS = 60_000;

let world: ClusterWorld;
let service: Environments;
beforeEach(async () => {
  world = await makeClusterWorld();
  service = world.serve();
  return () => world[Symbol.asyncDispose]();
});

/** Has a cluster have something that nobody recorded. */
function leave(cluster: "east" | "west", id: string, changes: Partial<FakeEnvironment> = {}): void {
  const blank = { power: "running", checkedOut: true, diskBytes: 0, unsaved: NOTHING_UNSAVED, log: "" } as const;
  world.runtimes[cluster].environments.set(id, { ...blank, ageMs: 31 * MINUTE_MS, ...changes });
}

const record = () => service.enter({ who: { person: "ada", key: "" }, login: "hello-main" }, () => undefined, never);
const idsOn = (cluster: "east" | "west") => [...world.runtimes[cluster].environments.keys()];

test("sweep() clears away what no record knows, on every cluster, and nothing that one knows", async () => {
  const { id } = await record();
  leave("east", "stray");
  leave("west", "other");
  const report = await service.sweep(false);
  expect(report.rows.map(({ id: found, cluster, outcome }) => [found, cluster, outcome])).toEqual([
    ["stray", "east", "removed"],
    ["other", "west", "removed"],
  ]);
  await vi.waitFor(() => expect([...idsOn("east"), ...idsOn("west")]).toEqual([id]), SOON);
  expect(await service.sweep(false)).toEqual({ rows: [], away: [] });
});

test("sweep() tells what would go and changes nothing when it is only asked about", async () => {
  await record();
  leave("west", "stray");
  expect((await service.sweep(true)).rows).toMatchObject([{ id: "stray", outcome: "removed" }]);
  expect((await service.sweep(true)).rows).toMatchObject([{ id: "stray", outcome: "removed" }]);
  expect(idsOn("west")).toEqual(["stray"]);
});

test.each<readonly [string, Partial<FakeEnvironment>, string]>([
  ["is young", { ageMs: 29 * MINUTE_MS }, "it is younger than 30 minutes"],
  ["holds work", { unsaved: { ...NOTHING_UNSAVED, changedCount: 1 } }, "there is work in it that is not pushed"],
])("sweep() keeps what %s, and says so", async (_, changes, because) => {
  await record();
  leave("west", "stray", changes);
  expect((await service.sweep(false)).rows).toMatchObject([{ id: "stray", outcome: "kept", because }]);
  expect(idsOn("west")).toEqual(["stray"]);
});

test("sweep() keeps what nobody can look into", async () => {
  await record();
  leave("west", "stray");
  world.runtimes.west.before("unsaved", () => Promise.reject(new Error("Cannot look: it sleeps")));
  const [row] = (await service.sweep(false)).rows;
  expect(row?.outcome).toBe("kept");
  expect(row?.because).toContain("nobody can look for work in it");
});

test("sweep() takes a member of a pool whatever is in it: nobody was ever there", async () => {
  await record();
  leave("west", "member", { unsaved: { ...NOTHING_UNSAVED, changedCount: 1 } });
  const { spec } = [...world.runtimes.east.environments.values()][0]!;
  world.runtimes.west.environments.get("member")!.spec = { ...spec!, owner: { pool: "hello" } };
  expect((await service.sweep(false)).rows).toMatchObject([{ id: "member", outcome: "removed" }]);
});

test("sweep() keeps everything when the database is empty: it may have been lost", async () => {
  leave("west", "stray");
  expect((await service.sweep(false)).rows).toMatchObject([{ id: "stray", outcome: "kept" }]);
  expect(idsOn("west")).toEqual(["stray"]);
});

test("sweep() takes ten at once and the others later", async () => {
  await record();
  for (let number = 0; number < 12; number++) leave("west", `stray${number}`);
  const { rows } = await service.sweep(false);
  expect(rows.filter(({ outcome }) => outcome === "removed")).toHaveLength(10);
  await vi.waitFor(() => expect(idsOn("west")).toHaveLength(2), SOON);
  expect((await service.sweep(false)).rows.map(({ outcome }) => outcome)).toEqual(["removed", "removed"]);
});

test("sweep() says which clusters it could not look at, and goes on with the others", async () => {
  await record();
  leave("west", "stray");
  world.away.add("east");
  expect(await service.sweep(false)).toMatchObject({ rows: [{ id: "stray" }], away: ["east"] });
});
