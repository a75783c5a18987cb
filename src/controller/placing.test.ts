import { beforeEach, expect, test } from "vitest";
import { makeWorld, never, type World } from "../../test/fakes/controller-world.ts";
import type { PlacementCluster } from "../policy/placement.ts";
import type { Clusters } from "./clusters.ts";
import { openTarget } from "./open-target.ts";
import { makeEntries } from "./entries.ts";
import { choosePlace } from "./placing.ts";
import type { Claimed, ClaimRequest } from "./pools/ports.ts";

const target = {
  ...{ repository: "hello", repositoryName: "hello", branch: "main", login: "hello-main" },
  resolvedAt: 0,
};

let world: World;
let told: string[];
let asked: ClaimRequest[];
beforeEach(async () => {
  world = await makeWorld();
  [told, asked] = [[], []];
  return () => world[Symbol.asyncDispose]();
});

function cluster(name: string, changes: Partial<PlacementCluster> = {}): PlacementCluster {
  return { name, labels: {}, capacity: 2, present: 0, isUp: true, people: "*", podSecurity: "restricted", ...changes };
}

function clustersOf(list: () => PlacementCluster[], claimed: Claimed): Clusters {
  return {
    settings: [],
    readFile: async () => undefined,
    listFolder: async () => [],
    identifyManifests: async () => ({}),
    list: async () => list(),
    pools: {
      claim: async (request) => {
        asked.push(request);
        return claimed;
      },
      giveUp: async () => undefined,
      owns: async () => false,
    },
    at: () => world.runtime,
    forget: () => undefined,
  };
}

function choose(all: PlacementCluster[], claimed: Claimed) {
  const context = { ...world.context(), clusters: clustersOf(() => all, claimed) };
  return choosePlace(context, { person: "ada", target, report: (line) => told.push(line) }, never);
}

const warm = (name: string): Claimed => ({ type: "warm", id: "m1", cluster: name, pool: "hello" });

// A cluster that was full of members refused everybody whom one of them would have served, as a pool as large as its cluster
// did always; and no member of another cluster than the one with the most room was asked for.
test("choosePlace() takes a ready member of any cluster that fits, however full that is", async () => {
  const all = [cluster("full", { present: 2, pooled: 2 }), cluster("roomy"), cluster("away", { isUp: false })];
  expect(await choose(all, warm("full"))).toEqual({ cluster: "full", member: "m1", notes: [] });
  expect(asked).toMatchObject([{ repository: "hello", on: ["roomy", "full"] }]);
});

test("choosePlace() makes one anew where there is room, and says why no member will do", async () => {
  expect(
    await choose([cluster("full", { present: 2 }), cluster("roomy")], { type: "cold", because: "pool empty" }),
  ).toEqual({ cluster: "roomy", capacity: 2, notes: [] });
  expect(told.at(-1)).toContain("made anew: pool empty");
});

test("choosePlace() refuses when there is neither a member nor room, and says who has the room", async () => {
  const chosen = choose([cluster("full", { present: 2, pooled: 1 })], { type: "cold", because: "pool empty" });
  await expect(chosen).rejects.toMatchObject({
    code: "cluster.full",
    told: "no cluster can take this environment: full is full, 2 of 2 in use, 1 of them by pools; and pool empty",
  });
});

test("choosePlace() claims nothing where nothing fits", async () => {
  const chosen = choose([cluster("away", { isUp: false })], warm("away"));
  await expect(chosen).rejects.toMatchObject({ code: "cluster.unreached" });
  expect(asked).toEqual([]);
});

test("openTarget() looks for another cluster when others took the last room meanwhile", async () => {
  const taken = { person: "bob", repository: "hello", hostname: "h", fromBranch: undefined, inventory: [] };
  for (const id of ["e1", "e2"])
    await world.store.environments.add(
      { ...taken, id, branch: id, login: id, cluster: "east" },
      world.context().limits,
    );
  const seen = [0, 2];
  const list = () => [cluster("east", { present: seen.shift() ?? 2 }), cluster("west", { present: 1 })];
  const context = { ...world.context(), clusters: clustersOf(list, { type: "none" }) };
  const request = { person: "ada", target, report: () => undefined };
  const { id } = await openTarget(context, makeEntries(), request, never);
  expect(await world.store.environments.find(id)).toMatchObject({ cluster: "west" });
});

test("openTarget() gives up when others take the room again and again", async () => {
  const taken = { person: "bob", repository: "hello", hostname: "h", fromBranch: undefined, inventory: [] };
  for (const id of ["e1", "e2"])
    await world.store.environments.add(
      { ...taken, id, branch: id, login: id, cluster: "east" },
      world.context().limits,
    );
  const context = { ...world.context(), clusters: clustersOf(() => [cluster("east")], { type: "none" }) };
  const request = { person: "ada", target, report: () => undefined };
  await expect(openTarget(context, makeEntries(), request, never)).rejects.toMatchObject({ code: "cluster.full" });
  expect(await world.store.environments.list({ person: "ada" })).toEqual([]);
});
