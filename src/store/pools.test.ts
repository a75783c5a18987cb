import { beforeEach, expect, test } from "vitest";
import { describePostgres, describeStores } from "../../test/harness/each-store.ts";
import { makeClock } from "../base/clock.ts";
import type { Environments } from "./environments.ts";
import type { PoolMembers, WantedMember } from "./pools.ts";

const HOUR_MS = 3_600_000;
/** Of a cluster with room for all. */
const CAPACITY = 99;
const wanted: WantedMember = { pool: "hello", version: "image=1" };

function fresh(id: string, changes: { cluster?: string; version?: string; pool?: string } = {}) {
  return { id, cluster: "east", pool: "hello", version: "image=1", ...changes };
}

describeStores((given) => {
  let pools: PoolMembers;
  let environments: Environments;
  let now = 0;
  beforeEach(async () => {
    now = 1_700_000_000_000;
    ({ pools, environments } = await given.open({ clock: { ...makeClock(), now: () => now } }));
  });

  async function ready(id: string, changes = {}): Promise<void> {
    now += 1;
    await pools.add(fresh(id, changes), CAPACITY);
    expect(await pools.move(id, "filling", "ready")).toBe(true);
  }

  test("add() records a member before it is made", async () => {
    expect(await pools.add({ ...fresh("m1"), image: "debian" }, CAPACITY)).toBe(true);
    const nothing = { reason: undefined, readyAt: undefined, claimedAt: undefined };
    const member = { ...fresh("m1"), image: "debian", state: "filling", createdAt: now, ...nothing };
    expect(await pools.list()).toEqual([member]);
    expect(await pools.find("m1")).toEqual(member);
    expect(await pools.find("m2")).toBeUndefined();
  });

  test("claim() takes the member that has been ready for longest, and each once", async () => {
    for (const id of ["m2", "m1"]) await ready(id);
    await pools.add(fresh("m3"), CAPACITY);
    now += 5;
    expect(await pools.claim(wanted)).toMatchObject({ id: "m2", state: "claimed", claimedAt: now });
    expect(await pools.claim(wanted)).toMatchObject({ id: "m1" });
    expect(await pools.claim(wanted)).toBeUndefined();
  });

  test("claim() takes none of another pool, version or cluster", async () => {
    await ready("other", { pool: "tools" });
    await ready("old", { version: "image=0" });
    await ready("west", { cluster: "west" });
    expect(await pools.claim({ ...wanted, on: ["east"] })).toBeUndefined();
    expect(await pools.claim({ ...wanted, on: [] })).toBeUndefined();
    expect(await pools.claim({ ...wanted, notOn: ["north", "west"] })).toBeUndefined();
    expect(await pools.claim({ ...wanted, notOn: ["north"] })).toMatchObject({ id: "west" });
  });

  test("claim() takes one of the cluster that is liked best, and of another one where that has none", async () => {
    await ready("west", { cluster: "west" });
    await ready("east", { cluster: "east" });
    await ready("north", { cluster: "north" });
    const on = ["east", "north", "west"];
    expect(await pools.claim({ ...wanted, on })).toMatchObject({ id: "east" });
    expect(await pools.claim({ ...wanted, on })).toMatchObject({ id: "west" });
  });

  test("claim() gives 5 members to 50 who ask at once, each to one", async () => {
    for (const id of ["a", "b", "c", "d", "e"]) await ready(id);
    const claimed = await Promise.all(Array.from({ length: 50 }, () => pools.claim(wanted)));
    const ids = claimed.flatMap((member) => member?.id ?? []);
    // On PostgreSQL one that is being claimed is passed over, so somebody may get nothing: never one twice.
    expect(ids.sort()).toEqual(["a", "b", "c", "d", "e"]);
  });

  test("move() takes a member on only from the state it is thought to be in", async () => {
    await ready("m1");
    expect(await pools.claim(wanted)).toBeDefined();
    expect(await pools.move("m1", "ready", "leaving", "too many")).toBe(false);
    expect(await pools.find("m1")).toMatchObject({ state: "claimed", reason: undefined });
    expect(await pools.move("m1", "claimed", "failed", "does not answer")).toBe(true);
    expect(await pools.find("m1")).toMatchObject({ state: "failed", reason: "does not answer" });
  });

  test("move() gives a claimed member back as ready since before", async () => {
    await ready("m1");
    const readyAt = now;
    now += 10;
    await pools.claim(wanted);
    expect(await pools.move("m1", "claimed", "ready")).toBe(true);
    expect(await pools.find("m1")).toMatchObject({ state: "ready", readyAt, claimedAt: undefined });
  });

  test("remove() deletes a record, and again does nothing", async () => {
    await ready("m1");
    await pools.remove("m1");
    await pools.remove("m1");
    expect(await pools.list()).toEqual([]);
  });

  test("addFailure() counts those in a row of one version, until clearFailures()", async () => {
    await pools.addFailure("hello", "image=1", "no such image");
    await pools.addFailure("hello", "image=1", "it crashes");
    expect(await pools.failures()).toEqual([
      { pool: "hello", version: "image=1", failedCount: 2, reason: "it crashes", failedAt: now },
    ]);
    await pools.addFailure("hello", "image=2", "again");
    expect(await pools.failures()).toMatchObject([{ failedCount: 1, version: "image=2" }]);
    await pools.clearFailures("hello");
    expect(await pools.failures()).toEqual([]);
  });

  test("count() adds up by the hour and forgets what is older than 30 days", async () => {
    await pools.count("hello", "hit", 1);
    await pools.count("hello", "hit", 2);
    await pools.count("hello", "idle-ms", 3 * 10 ** 12);
    const hourAt = Math.floor(now / HOUR_MS) * HOUR_MS;
    const sorted = async () => (await pools.counts()).sort((one, other) => (one.what < other.what ? -1 : 1));
    expect(await sorted()).toEqual([
      { pool: "hello", hourAt, what: "hit", amount: 3 },
      { pool: "hello", hourAt, what: "idle-ms", amount: 3 * 10 ** 12 },
    ]);
    now += 31 * 24 * HOUR_MS;
    await pools.count("hello", "hit", 1);
    expect(await sorted()).toMatchObject([{ what: "hit", amount: 1 }]);
  });

  test("countByCluster() counts environments and members, and one that is both once", async () => {
    await ready("m1");
    await ready("m2", { cluster: "west" });
    const names = { person: "ada", repository: "hello", hostname: "h", fromBranch: undefined, inventory: [] };
    const allowance = { perPerson: 9, firstUid: 2_000, uidCount: 9 };
    for (const [id, cluster] of Object.entries({ m1: "east", e1: "east", e2: "north" }))
      await environments.add({ ...names, id, cluster, branch: id, login: id }, allowance);
    expect(await environments.countByCluster()).toEqual(new Map(Object.entries({ east: 2, west: 1, north: 1 })));
  });

  // Clusters were counted before a record was written, and not again: those who came at once went over the capacity.
  test("add() of environments keeps to the capacity of a cluster, members counted, for all who ask at once", async () => {
    await ready("m1");
    const names = { person: "ada", repository: "hello", hostname: "h", fromBranch: undefined, inventory: [] };
    const allowance = { perPerson: 99, firstUid: 2_000, uidCount: 99, capacity: 4 };
    const add = (id: string, cluster = "east") =>
      environments.add({ ...names, id, cluster, branch: id, login: id }, allowance);
    const results = await Promise.all(Array.from({ length: 20 }, (_, index) => add(`e${index}`)));
    const countOf = (wanted: string): number => results.filter(({ outcome }) => outcome === wanted).length;
    expect([countOf("added"), countOf("full")]).toEqual([3, 17]);
    expect(await environments.list()).toHaveLength(3);
    // What a member becomes was counted already.
    expect(await add("m1")).toMatchObject({ outcome: "added" });
    expect(await add("e99")).toEqual({ outcome: "full" });
    expect(await add("e99", "west")).toMatchObject({ outcome: "added" });
  });

  // Members were added without a look at what was there by then: one more than the capacity when a person came between.
  test("add() keeps to the capacity of a cluster, for a member and an environment that are added at once", async () => {
    const names = { person: "ada", repository: "hello", hostname: "h", fromBranch: undefined, inventory: [] };
    const allowance = { perPerson: 99, firstUid: 2_000, uidCount: 99, capacity: 1 };
    const clusters = Array.from({ length: 20 }, (_, index) => `c${index}`); // one may be lucky
    for (const cluster of clusters) {
      const id = `e-${cluster}`;
      const [isAdded, { outcome }] = await Promise.all([
        pools.add(fresh(`m-${cluster}`, { cluster }), 1),
        environments.add({ ...names, id, cluster, branch: id, login: id }, allowance),
      ]);
      expect(outcome).toBe(isAdded ? "full" : "added");
    }
    expect(await environments.countByCluster()).toEqual(new Map(clusters.map((cluster) => [cluster, 1])));
    expect(await pools.add(fresh("late", { cluster: "c0" }), 1)).toBe(false);
    expect(await pools.find("late")).toBeUndefined();
    expect(await pools.add(fresh("late", { cluster: "c0" }), 2)).toBe(true);
  });

  test("takeRoom() keeps to the capacity of a cluster, and counts what is on two on both", async () => {
    const names = { person: "ada", repository: "hello", hostname: "h", fromBranch: undefined, inventory: [] };
    const allowance = { perPerson: 99, firstUid: 2_000, uidCount: 99 };
    const ids = ["e1", "e2", "e3"];
    for (const id of ids) await environments.add({ ...names, id, cluster: "east", branch: id, login: id }, allowance);
    const move = async (id: string, inFence?: number) => {
      const { fence } = await environments.begin(id, "moving");
      const item = { type: "kubernetes", id, state: "present" } as const;
      const inventory = [
        { ...item, cluster: "east" },
        { ...item, cluster: "west" },
      ];
      return environments.takeRoom(id, inFence ?? fence, { cluster: "west", capacity: 2, inventory });
    };
    expect(await move("e1", 99)).toBe("overtaken");
    expect((await Promise.all(ids.map((id) => move(id)))).toSorted()).toEqual(["full", "taken", "taken"]);
    expect(await environments.countByCluster()).toEqual(new Map(Object.entries({ east: 3, west: 2 })));
    const moved = (await environments.list()).filter(({ inventory }) => inventory.length === 2);
    expect(moved.map(({ operation }) => operation)).toEqual([undefined, undefined]);
  });

  test("update() of an environment takes it to another cluster", async () => {
    const names = { person: "ada", repository: "hello", hostname: "h", fromBranch: undefined, inventory: [] };
    await environments.add(
      { ...names, id: "e1", cluster: "east", branch: "main", login: "hello-main" },
      { perPerson: 9, firstUid: 2_000, uidCount: 9 },
    );
    const { fence } = await environments.begin("e1", "sleeping");
    expect(await environments.end("e1", fence, { cluster: "west" })).toBe(true);
    expect(await environments.find("e1")).toMatchObject({ cluster: "west" });
  });
});

describePostgres((given) => {
  test("claim() gives each member to one when two stores of one installation ask at once, and none to another", async () => {
    const [here, beside, there] = await Promise.all([
      given.open(),
      given.open(),
      given.open({ installation: "there" }),
    ]);
    for (let count = 0; count < 5; count++) {
      await here.pools.add(fresh(`m${count}`), CAPACITY);
      await here.pools.move(`m${count}`, "filling", "ready");
    }
    expect(await there.pools.claim(wanted)).toBeUndefined();
    expect(await there.pools.list()).toEqual([]);
    expect(await there.pools.move("m0", "ready", "leaving")).toBe(false);
    await there.pools.remove("m0");
    const asked = Array.from({ length: 50 }, (_, index) => (index % 2 === 0 ? here : beside).pools.claim(wanted));
    const ids = (await Promise.all(asked)).flatMap((member) => member?.id ?? []);
    expect(ids.sort()).toEqual(["m0", "m1", "m2", "m3", "m4"]);
  });
});
