import { beforeEach, expect, test } from "vitest";
import { describePostgres, describeStores } from "../../test/harness/each-store.ts";
import { makeClock } from "../base/clock.ts";
import type { Allowance, Environments, NewEnvironment } from "./environments.ts";

const allowance: Allowance = { perPerson: 3, firstUid: 2_000, uidCount: 4 };

function fresh(person: string, branch: string): NewEnvironment {
  const login = `hello-${branch}`;
  return {
    id: `${person}${branch}`,
    person,
    repository: "hello",
    branch,
    login,
    fromBranch: undefined,
    hostname: login,
    inventory: [{ type: "sandbox", id: `${person}${branch}`, state: "intended" }],
  };
}

describeStores((given) => {
  let environments: Environments;
  let now = 0;
  beforeEach(async () => {
    now = 1_000;
    ({ environments } = await given.open({ clock: { ...makeClock(), now: () => now } }));
  });

  async function added(person: string, branch: string, given = allowance) {
    const result = await environments.add(fresh(person, branch), given);
    if (result.outcome !== "added") throw new Error(`Cannot set up: ${result.outcome}, needs added`);
    return result.record;
  }

  async function removed(id: string): Promise<void> {
    expect(await environments.remove(id, (await environments.begin(id, "destroying")).fence)).toBe(true);
  }

  test("add() gives each environment the lowest uid that was never used", async () => {
    expect((await added("ada", "a")).uid).toBe(2_000);
    expect((await added("ada", "b")).uid).toBe(2_001);
    await removed("adaa");
    expect((await added("ada", "c")).uid).toBe(2_002);
  });

  test("add() gives out again the uid that was freed longest ago once all were used", async () => {
    for (const person of ["a", "b", "c", "d"]) await added(person, "x");
    now = 2_000;
    await removed("cx");
    now = 3_000;
    await removed("bx");
    expect((await added("e", "x")).uid).toBe(2_002);
    expect((await added("f", "x")).uid).toBe(2_001);
  });

  test("add() refuses when each uid belongs to a record, one on its way out included", async () => {
    for (const person of ["a", "b", "c", "d"]) await added(person, "x");
    const { fence } = await environments.begin("ax", "destroying");
    await environments.update("ax", fence, { desired: "absent" });
    await expect(environments.add(fresh("e", "x"), allowance)).rejects.toMatchObject({ code: "machine.full" });
    expect(await environments.find("ex")).toBeUndefined();
  });

  test("add() fills a uid range that was moved", async () => {
    await added("ada", "a");
    expect((await added("ada", "b", { ...allowance, firstUid: 1_999 })).uid).toBe(1_999);
    expect((await added("ada", "c", { ...allowance, firstUid: 1_999 })).uid).toBe(2_001);
  });

  test("add() returns the record that is there when the place is taken", async () => {
    const first = await added("ada", "main");
    const second = await environments.add({ ...fresh("ada", "main"), id: "other" }, allowance);
    expect(second).toEqual({ outcome: "exists", record: first });
  });

  test("add() makes one environment when many ask at once", async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        environments.add({ ...fresh("ada", "main"), id: `e${index}` }, allowance),
      ),
    );
    expect(results.filter((result) => result.outcome === "added")).toHaveLength(1);
    expect(results.filter((result) => result.outcome === "exists")).toHaveLength(19);
  });

  test("add() keeps to the number a person may have and lists theirs, longest unused first", async () => {
    await added("bob", "z");
    for (const branch of ["a", "b", "c"]) await added("ada", branch);
    await environments.touch("adaa", 9_000);
    const result = await environments.add(fresh("ada", "d"), allowance);
    expect(result.outcome).toBe("limit");
    expect(result.outcome === "limit" && result.present.map((record) => record.branch)).toEqual(["b", "c", "a"]);
  });

  test("add() takes a place again while its old environment is still being destroyed", async () => {
    await added("ada", "main");
    const { fence } = await environments.begin("adamain", "destroying");
    await environments.update("adamain", fence, { desired: "absent" });
    const again = await environments.add({ ...fresh("ada", "main"), id: "second" }, allowance);
    expect(again.outcome).toBe("added");
    expect((await environments.findByPlace("ada", "hello", "main"))?.id).toBe("second");
    expect((await environments.findByLogin("ada", "hello-main"))?.id).toBe("second");
    expect((await environments.list({ desired: "absent" })).map((record) => record.id)).toEqual(["adamain"]);
  });

  test("findByLogin() finds nothing of another person", async () => {
    await added("ada", "main");
    expect(await environments.findByLogin("bob", "hello-main")).toBeUndefined();
    expect(await environments.findByLogin("ada", "hello-mai_")).toBeUndefined();
  });

  test("list() filters by person and sorts by person and login", async () => {
    await added("bob", "a");
    await added("ada", "b");
    await added("ada", "a");
    expect((await environments.list()).map((record) => record.id)).toEqual(["adaa", "adab", "boba"]);
    expect((await environments.list({ person: "bob" })).map((record) => record.id)).toEqual(["boba"]);
  });

  test("update(), end() and remove() write nothing once a newer operation has begun", async () => {
    await added("ada", "main");
    const { fence: old } = await environments.begin("adamain", "starting");
    const { fence: current, operation } = await environments.begin("adamain", "destroying");
    expect(operation).toBe("destroying");
    expect(current).toBe(old + 1);
    expect(await environments.update("adamain", old, { power: "running" })).toBe(false);
    expect(await environments.end("adamain", old, { power: "running" })).toBe(false);
    expect(await environments.remove("adamain", old)).toBe(false);
    expect(await environments.find("adamain")).toMatchObject({ power: "sleeping", operation: "destroying" });
    expect(await environments.end("adamain", current, {})).toBe(true);
    expect(await environments.find("adamain")).toMatchObject({ operation: undefined });
  });

  test("observe() writes only while no operation is in flight", async () => {
    await added("ada", "main");
    expect(await environments.observe("adamain", { power: "running" })).toBe(true);
    const { fence } = await environments.begin("adamain", "starting");
    expect(await environments.observe("adamain", { power: "sleeping" })).toBe(false);
    await environments.end("adamain", fence, {});
    expect(await environments.observe("adamain", { definition: null })).toBe(true);
    expect((await environments.find("adamain"))?.power).toBe("running");
  });

  test("touch() never moves the last activity backwards", async () => {
    await added("ada", "main");
    await environments.touch("adamain", 5_000);
    await environments.touch("adamain", 4_000);
    expect((await environments.find("adamain"))?.lastActiveAt).toBe(5_000);
  });

  test("begin() refuses an environment that has no record", async () => {
    await expect(environments.begin("none", "starting")).rejects.toMatchObject({ code: "environment.absent" });
  });

  test("add() keeps the name of a repository beside its id, and has the id for the name without one", async () => {
    await environments.add({ ...fresh("ada", "main"), repository: "github.7", repositoryName: "hello" }, allowance);
    expect(await environments.find("adamain")).toMatchObject({ repository: "github.7", repositoryName: "hello" });
    expect(await added("bob", "main")).toMatchObject({ repository: "hello", repositoryName: "hello" });
  });
});

describePostgres((given) => {
  test("openStore() with an installation finds, counts and writes nothing of another", async () => {
    const [here, there] = await Promise.all([
      given.open({ installation: "here" }),
      given.open({ installation: "there" }),
    ]);
    for (const { environments } of [here, there]) {
      const one = { ...allowance, perPerson: 1, uidCount: 1 };
      const id = environments === here.environments ? "h" : "t";
      const result = await environments.add({ ...fresh("ada", "main"), id }, one);
      expect(result).toMatchObject({ outcome: "added", record: { uid: 2_000 } });
    }
    expect((await here.environments.list()).map(({ id }) => id)).toEqual(["h"]);
    expect((await there.environments.findByLogin("ada", "hello-main"))?.id).toBe("t");
    expect((await there.environments.findByPlace("ada", "hello", "main"))?.id).toBe("t");
    expect(await here.environments.find("t")).toBeUndefined();
    await expect(here.environments.begin("t", "destroying")).rejects.toMatchObject({ code: "environment.absent" });
    expect(await here.environments.update("t", 0, { power: "running" })).toBe(false);
    expect(await here.environments.observe("t", { power: "running" })).toBe(false);
    expect(await here.environments.remove("t", 0)).toBe(false);
    await here.environments.touch("t", 9e12);
    expect(await there.environments.find("t")).toMatchObject({ power: "sleeping", fence: 0 });
    expect((await there.environments.find("t"))?.lastActiveAt).toBeLessThan(9e12);
  });

  test("add() gives no uid twice and nobody more than is allowed when two stores of one installation ask at once", async () => {
    const stores = await Promise.all([given.open(), given.open()]);
    const asked = Array.from({ length: 12 }, (_, index) =>
      stores[index % 2 === 0 ? 0 : 1].environments.add(
        { ...fresh(`p${index % 3}`, `b${index}`) },
        { ...allowance, perPerson: 2, uidCount: 6 },
      ),
    );
    const outcomes = (await Promise.all(asked)).map((result) => result.outcome);
    expect(outcomes.filter((outcome) => outcome === "added")).toHaveLength(6);
    const uids = (await stores[0].environments.list()).map(({ uid }) => uid);
    expect(uids.sort()).toEqual([2_000, 2_001, 2_002, 2_003, 2_004, 2_005]);
  });
});
