import { beforeEach, expect, test, vi } from "vitest";
import { type ClusterWorld, makeClusterWorld } from "../../test/fakes/cluster-world.ts";
import { hang, never } from "../../test/fakes/controller-world.ts";
import { type FakeEnvironment, NOTHING_UNSAVED } from "../../test/fakes/fake-runtime.ts";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import { SOON } from "../../test/harness/wait.ts";
import type { Clusters } from "./clusters.ts";
import type { Context } from "./context.ts";
import type { Environments } from "./environments.ts";
import { type Garbage, makeGarbage } from "./garbage.ts";

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

/** The sweeping alone, of a service that has its clusters and `changes`. */
function makeSweeping(changes: Partial<Context>, owns: Clusters["pools"]["owns"] = async () => false): Garbage {
  const plain = { labels: {}, people: "*", podSecurity: "restricted", capacity: 10, present: 0, isUp: true } as const;
  const clusters: Clusters = {
    settings: [],
    readFile: async () => undefined,
    listFolder: async () => [],
    identifyManifests: async () => ({}),
    list: async () => [
      { ...plain, name: "east" },
      { ...plain, name: "west" },
    ],
    pools: { claim: async () => ({ type: "none" }), giveUp: async () => undefined, owns },
    at: (name) => (name === "east" ? world.runtimes.east : world.runtimes.west),
    forget: () => undefined,
  };
  return makeGarbage({ ...world.world.context(), clusters, ...changes });
}

// It was looked for among environments first: one that became one between the two looks was in neither, and was destroyed.
test("sweep() keeps a member that becomes an environment while it is looked for", async () => {
  const { id } = await record();
  const { store } = world.world.context();
  let isMember = true;
  const becomesOne = <Found>(found: Found): Found => {
    isMember = false;
    return found;
  };
  const sweeping = makeSweeping(
    {
      store: {
        ...store,
        find: async (wanted) => becomesOne(isMember && wanted === id ? undefined : await store.find(wanted)),
      },
    },
    async (wanted) => becomesOne(wanted === id && isMember),
  );
  world.runtimes.east.environments.get(id)!.ageMs = 31 * MINUTE_MS;
  expect(await sweeping.sweep(false)).toEqual({ rows: [], away: [] });
});

// Every sweep ran a command in every one that is kept, all at once, every 30 s for ever.
test("sweep() by itself looks into ten at a time and for an hour not again into what is kept, and anew when it is asked", async () => {
  await record();
  const strays = Array.from({ length: 12 }, (_, number) => `stray${number}`);
  for (const id of strays) leave("west", id, { unsaved: { ...NOTHING_UNSAVED, changedCount: 1 } });
  const clock = new HandClock();
  const sweeping = makeSweeping({ clock });
  const { west } = world.runtimes;
  let before = 0;
  const lookCount = (): number => {
    const count = west.calls.filter((call) => call.startsWith("unsaved ")).length - before;
    before += count;
    return count;
  };
  const reasons = async (isDry: boolean, isAnew?: boolean): Promise<number> => {
    const { rows } = await sweeping.sweep(isDry, isAnew);
    expect(rows.map(({ outcome }) => outcome)).toEqual(strays.map(() => "kept"));
    return rows.filter(({ because }) => because === "there is work in it that is not pushed").length;
  };
  expect([await reasons(false), lookCount()]).toEqual([10, 10]);
  expect([await reasons(false), lookCount()]).toEqual([12, 2]);
  await clock.advance(59 * MINUTE_MS);
  expect([await reasons(false), lookCount()]).toEqual([12, 0]);
  expect([await reasons(true), lookCount()]).toEqual([12, 12]);
  expect([await reasons(false, true), lookCount()]).toEqual([12, 12]);
  await clock.advance(59 * MINUTE_MS);
  expect([await reasons(false), lookCount()]).toEqual([12, 0]);
  await clock.advance(MINUTE_MS);
  west.environments.get("stray0")!.unsaved = NOTHING_UNSAVED;
  const { rows } = await sweeping.sweep(false);
  expect([rows[0], lookCount()]).toMatchObject([{ id: "stray0", outcome: "removed" }, 10]);
});

// What goes was looked into again at every sweep for as long as it took.
test("sweep() does not look again into what is going", async () => {
  await record();
  leave("west", "stray");
  world.runtimes.west.before("destroy", hang);
  expect((await service.sweep(false)).rows).toMatchObject([{ id: "stray", outcome: "removed" }]);
  expect(await service.sweep(false)).toEqual({ rows: [], away: [] });
  expect(world.runtimes.west.countOf("unsaved")).toBe(1);
});

test("sweep() forgets what it kept when that is gone, and looks into what comes by the same id", async () => {
  await record();
  const sweeping = makeSweeping({});
  leave("west", "stray", { unsaved: { ...NOTHING_UNSAVED, changedCount: 1 } });
  await sweeping.sweep(false);
  world.runtimes.west.environments.delete("stray");
  await sweeping.sweep(false);
  leave("west", "stray");
  expect((await sweeping.sweep(false)).rows).toMatchObject([{ id: "stray", outcome: "removed" }]);
});
