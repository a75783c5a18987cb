import { beforeEach, expect, test, vi } from "vitest";
import { type ClusterWorld, makeClusterWorld } from "../../test/fakes/cluster-world.ts";
import { hang, never } from "../../test/fakes/controller-world.ts";
import type { RuntimeMethod } from "../../test/fakes/fake-runtime.ts";
import { SOON } from "../../test/harness/wait.ts";
import type { Fault } from "../base/fault.ts";
import type { Environments } from "./environments.ts";

let world: ClusterWorld;
beforeEach(async () => {
  world = await makeClusterWorld();
  return () => world[Symbol.asyncDispose]();
});

const main = { person: "ada", login: "hello-main" };
const silent = (): void => undefined;

const enter = (service: Environments) =>
  service.enter({ who: { person: "ada", key: "" }, login: "hello-main" }, silent, never);
const migrate = (service: Environments, to = "west") =>
  service.migrate(main, { to, by: "ada", force: false, report: silent }, never);

/** Enters, and leaves something behind that nobody has pushed. @returns the id */
async function work(service: Environments): Promise<string> {
  world.runtimes.east.sources.set(
    ".devcontainer.json",
    JSON.stringify({ customizations: { slipway: { run: "serve" } } }),
  );
  const { id } = await enter(service);
  world.runtimes.east.environments.get(id)!.work = "not pushed";
  return id;
}

/** Where there is anything of it, with its person's work and its service. */
function placesOf(id: string) {
  return Object.entries(world.runtimes).flatMap(([name, { environments }]) => {
    const { work: kept, start, power } = environments.get(id) ?? {};
    return power === undefined ? [] : [{ name, work: kept, run: start?.run, power }];
  });
}

async function mustBeWhole(id: string, name: string): Promise<void> {
  await vi.waitFor(
    () => expect(placesOf(id)).toEqual([{ name, work: "not pushed", run: "serve", power: "running" }]),
    SOON,
  );
  await vi.waitFor(async () => {
    const record = await world.world.store.environments.find(id);
    expect(record).toMatchObject({ cluster: name, power: "running", operation: undefined });
    expect(record?.inventory.filter(({ cluster = name }) => cluster !== name)).toEqual([]);
  }, SOON);
}

test("migrate() moves an environment with its files, cuts its sessions with a sentence and leaves nothing behind", async () => {
  const service = world.serve();
  const id = await work(service);
  const told: string[] = [];
  service.onGone(id, (reason) => told.push(reason));
  expect(await migrate(service)).toBeGreaterThanOrEqual(0);
  expect(told).toEqual(["hello-main is moved to the cluster west by ada; log in again in a moment"]);
  await mustBeWhole(id, "west");
  expect((await enter(service)).id).toBe(id);
  expect(await service.list("ada")).toMatchObject([{ cluster: "west" }]);
});

// Room was counted before a move and taken at its end: those who came at once went over the capacity.
test("migrate() keeps to the capacity of a cluster for all who move at once, and counts once what it has moved", async () => {
  const service = world.serve();
  world.capacity = 2;
  const enterAs = (person: string, login: string) => service.enter({ who: { person, key: "" }, login }, silent, never);
  await enterAs("ada", "hello-main");
  await enterAs("bob", "hello-main");
  await enterAs("ada", "hello-feature-x");
  const count = () => world.world.store.environments.countByCluster();
  expect(await count()).toEqual(new Map(Object.entries({ east: 2, west: 1 })));
  const moves = ["hello-main", "hello-feature-x"].map((login) =>
    service.migrate({ person: "ada", login }, { to: "west", by: "ada", force: false, report: silent }, never),
  );
  const ends = await Promise.allSettled(moves);
  const [refused] = ends.flatMap((end) => (end.status === "rejected" ? [end.reason as unknown] : []));
  expect(ends.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  expect(refused).toMatchObject({ code: "cluster.full" });
  await vi.waitFor(async () => expect(await count()).toEqual(new Map(Object.entries({ east: 1, west: 2 }))), SOON);
  const records = await world.world.store.environments.list();
  expect(records.map(({ operation }) => operation)).toEqual([undefined, undefined, undefined]);
});

test("migrate() runs what belongs to a start again, and nothing else", async () => {
  world.runtimes.east.sources.set(
    ".devcontainer.json",
    JSON.stringify({ onCreateCommand: "once", postStartCommand: "each time" }),
  );
  const service = world.serve();
  await enter(service);
  await migrate(service);
  const linesOf = (name: "east" | "west") => world.runtimes[name].commands.map(({ command }) => command);
  expect(linesOf("east")).toEqual([{ shell: "once" }, { shell: "each time" }]);
  expect(linesOf("west")).toEqual([{ shell: "each time" }]);
});

test("migrate() wakes what sleeps, since its files are read through what runs", async () => {
  const service = world.serve();
  const id = await work(service);
  await service.sleep(main, { by: "ada" });
  await migrate(service);
  await mustBeWhole(id, "west");
});

// Somebody's database was gone, and nobody had said so.
test("migrate() names the volumes that do not move and does nothing, unless they are given up", async () => {
  const service = world.serve();
  const id = await work(service);
  world.runtimes.east.environments.get(id)!.volumes = ["data-db-0", "cache"];
  const told: string[] = [];
  service.onGone(id, (reason) => told.push(reason));
  await expect(migrate(service)).rejects.toMatchObject({
    code: "environment.unsaved",
    told: [
      "hello-main has volumes that are not moved, and begin anew on west:",
      ...["  volume  data-db-0", "  volume  cache"],
      "nothing was moved; to give up what is in them: migrate hello-main --to west --force",
    ].join("\n"),
  });
  expect(told).toEqual([]);
  await mustBeWhole(id, "east");
  await service.migrate(main, { to: "west", by: "ada", force: true, report: silent }, never);
  await mustBeWhole(id, "west");
});

// They were told that another operation had begun: what came after them never ran, and they ran again.
test("commands in the background go on while a move begins, and need not run again after one that did not happen", async () => {
  const definition = { waitFor: "onCreateCommand", postCreateCommand: "npm ci", postStartCommand: "up" };
  const { east, west } = world.runtimes;
  east.sources.set(".devcontainer.json", JSON.stringify(definition));
  const reached = Promise.withResolvers<undefined>();
  const go = Promise.withResolvers<number>();
  east.onCommand = (command) => {
    if ("shell" in command && command.shell === "npm ci") {
      reached.resolve(undefined);
      return go.promise;
    }
    return 0;
  };
  const service = world.serve();
  const { id } = await enter(service);
  await reached.promise;
  west.before("create", async () => {
    go.resolve(0);
    await vi.waitUntil(() => east.commands.length === 2, SOON);
    throw new Error("No room on the disk");
  });
  await expect(migrate(service)).rejects.toThrow("No room on the disk");
  const typesOf = async () =>
    (await world.world.store.environments.find(id))?.conditions.filter(({ status }) => status === "true");
  const whole = ["CheckedOut", "postCreateCommand", "postStartCommand"];
  await vi.waitFor(async () => expect((await typesOf())?.map(({ type }) => type).sort()).toEqual(whole), SOON);
});

// Its record went with what had failed, and what had been begun on the other cluster stayed there.
test("migrate() of what fails while it is made for the first time refuses, and nothing is left of it", async () => {
  const { east, west } = world.runtimes;
  const [reached, go] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  east.before("start", async () => {
    reached.resolve(undefined);
    await go.promise;
    throw new Error("No image");
  });
  const service = world.serve();
  const made = enter(service).catch((error: unknown) => error);
  await reached.promise;
  const moving = migrate(service).catch((error: unknown) => error);
  go.resolve(undefined);
  expect(await made).toMatchObject({ message: "No image" });
  const { told = "" } = (await moving) as Partial<Fault>;
  expect(["hello-main has no files yet: remove it, or enter it first", "there is no environment hello-main"]).toContain(
    told,
  );
  await vi.waitUntil(async () => (await world.world.store.environments.list()).length === 0, SOON);
  expect([east.environments.size, west.environments.size]).toEqual([0, 0]);
});

test("people come and go while the other place is made ready", async () => {
  const service = world.serve();
  const id = await work(service);
  const reached = Promise.withResolvers<undefined>();
  const go = Promise.withResolvers<undefined>();
  world.runtimes.west.before("start", async () => {
    reached.resolve(undefined);
    await go.promise;
  });
  const moving = migrate(service);
  await reached.promise;
  expect((await enter(service)).id).toBe(id);
  await expect(migrate(service)).rejects.toMatchObject({
    told: expect.stringContaining("try again in a minute") as string,
  });
  go.resolve(undefined);
  await moving;
  await mustBeWhole(id, "west");
});

test.each(["create", "start", "unpack"] as const)("a move whose %s fails has not happened", async (method) => {
  const service = world.serve();
  const id = await work(service);
  world.runtimes.west.before(method, () => Promise.reject(new Error("Cannot do it: the cluster is full")));
  await expect(migrate(service)).rejects.toThrow("Cannot do it");
  world.runtimes.west.heal();
  await mustBeWhole(id, "east");
  expect((await enter(service)).id).toBe(id);
});

test("an environment that is removed while it is moved is removed from both", async () => {
  const service = world.serve();
  const id = await work(service);
  const reached = Promise.withResolvers<undefined>();
  const go = Promise.withResolvers<undefined>();
  world.runtimes.west.before("start", async () => {
    reached.resolve(undefined);
    await go.promise;
  });
  const moving = migrate(service);
  moving.catch(silent);
  await reached.promise;
  const removing = service.remove(main, { force: true, by: "ada" });
  go.resolve(undefined);
  await removing;
  await expect(moving).rejects.toThrow();
  await vi.waitFor(() => expect(placesOf(id)).toEqual([]), SOON);
  expect(await world.world.store.environments.find(id)).toBeUndefined();
});

const points: [RuntimeMethod, "east" | "west", "before" | "after"][] = (
  [
    ["create", "west"],
    ["start", "west"],
    ["pack", "east"],
    ["unpack", "west"],
    ["destroy", "east"],
  ] as const
).flatMap(([method, name]) => [
  [method, name, "before"],
  [method, name, "after"],
]);

test.each(points)(
  "after a kill at %s on %s, %s its effect, there is one place with all work",
  async (method, name, when) => {
    const killed = world.serve();
    const id = await work(killed);
    const reached = Promise.withResolvers<undefined>();
    world.runtimes[name][when](method, () => {
      reached.resolve(undefined);
      return hang();
    });
    void migrate(killed).catch(silent);
    await reached.promise;
    world.runtimes[name].heal();
    await mustConverge(id);
  },
);

const writes = Array.from({ length: 9 }, (_, index) => index + 1).flatMap((write) => [
  [write, "before"] as const,
  [write, "after"] as const,
]);

test.each(writes)(
  "after a kill at write %i to the store, %s it, there is one place with all work",
  async (write, when) => {
    const id = await work(world.serve());
    const { store, killed: atWrite } = world.world.storeKilledAt(write, when);
    const killed = world.serve({ store });
    // To its very end, with what it clears away after the answer.
    const moved = killed
      .adopt()
      .then(() => migrate(killed))
      .then(() => mustBeWhole(id, "west"));
    moved.catch(silent); // what is closed after the test
    // Not after a time: one that has not come to its write by then works on beside the next.
    await Promise.race([atWrite, moved]);
    await mustConverge(id);
  },
);

async function mustConverge(id: string): Promise<void> {
  const next = world.serve();
  await next.adopt();
  expect((await enter(next)).id).toBe(id);
  const { cluster } = (await world.world.store.environments.find(id))!;
  await mustBeWhole(id, cluster);
}
