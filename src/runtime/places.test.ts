import { expect, test } from "vitest";
import { FakeRuntime } from "../../test/fakes/fake-runtime.ts";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import { recordingLog } from "../../test/fakes/recording-log.ts";
import { Fault } from "../base/fault.ts";
import { makePlaces, type Places } from "./places.ts";
import type { EnvironmentSpec, StartSpec } from "./runtime.ts";

interface World {
  readonly places: Places;
  readonly east: FakeRuntime;
  readonly west: FakeRuntime;
  /** What is recorded, and how often that was asked for. */
  readonly records: Map<string, string>;
  readonly asked: string[];
  readonly clock: HandClock;
  readonly lines: ReturnType<typeof recordingLog>["lines"];
}

function makeWorld(): World {
  const [east, west, clock] = [new FakeRuntime(), new FakeRuntime(), new HandClock()];
  const records = new Map<string, string>();
  const { log, lines } = recordingLog();
  const asked: string[] = [];
  const placeOf = async (id: string): Promise<string | undefined> => {
    asked.push(id);
    return records.get(id);
  };
  const runtimes = new Map([...Object.entries({ east, west })]);
  return { places: makePlaces(runtimes, placeOf, { clock, log }), east, west, records, asked, clock, lines };
}

function specOf(id: string, cluster: string): EnvironmentSpec {
  const source = { repository: "hello", mirrorPath: "/m", originUrl: "https://x/hello", branch: "main" };
  return {
    ...{ id, cluster, hostname: "hello-main", uid: 1, source, author: { name: "Ada", email: "" }, limits: {} },
    ...{ generation: 1, owner: { person: "ada", login: "hello-main" } },
  };
}

const never = new AbortController().signal;
const silent = (): void => undefined;
const hang = (): Promise<never> => new Promise(() => undefined);

test("makePlaces() makes each environment where its specification says, and sends what is asked of it there", async () => {
  const { places, east, west, asked } = makeWorld();
  await places.create(specOf("e1", "east"), silent, never);
  await places.create(specOf("w1", "west"), silent, never);
  await places.note("w1", "hi");
  expect([east.calls, west.calls]).toEqual([["create e1"], ["create w1", "note w1"]]);
  expect(asked).toEqual([]);
});

test("makePlaces() asks once where an environment is, and again after forget()", async () => {
  const { places, east, west, records, asked } = makeWorld();
  for (const [name, runtime] of Object.entries({ east, west })) await runtime.create(specOf("e1", name), silent);
  records.set("e1", "east");
  await places.observe("e1");
  await places.observe("e1");
  records.set("e1", "west");
  places.forget("e1");
  await places.observe("e1");
  expect(asked).toEqual(["e1", "e1"]);
  expect([east.countOf("observe"), west.countOf("observe")]).toEqual([2, 1]);
});

test("makePlaces() names the cluster that the settings lack when a record is of one that is gone", async () => {
  const { places, records } = makeWorld();
  records.set("n1", "north");
  const fault = {
    code: "runtime.unable",
    message: 'Cannot reach cluster "north": the settings have none of that name',
  };
  await expect(places.observe("n1")).rejects.toMatchObject(fault);
  await expect(places.create(specOf("n1", "north"), silent, never)).rejects.toMatchObject(fault);
  await expect(places.start(specOf("n1", "north"), {} as StartSpec, silent, never)).rejects.toMatchObject(fault);
  expect(() => places.at("north")).toThrow(fault.message);
});

test("makePlaces() finds what nobody recorded on the cluster that lists it, and refuses what none does", async () => {
  const { places, west } = makeWorld();
  await west.create(specOf("w9", "west"), silent);
  await expect(places.observe("w9")).rejects.toMatchObject({ code: "environment.absent" });
  expect(await places.list()).toEqual(["w9"]);
  await places.destroy("w9");
  expect(west.environments.size).toBe(0);
});

test("list() has what the others have when a cluster fails, and says so", async () => {
  const { places, east, west, lines } = makeWorld();
  await west.create(specOf("w1", "west"), silent);
  east.before("list", () => Promise.reject(new Error("Cannot connect")));
  expect(await places.list()).toEqual(["w1"]);
  expect(lines).toMatchObject([{ event: "cluster.away", facts: { cluster: "east" } }]);
});

test("a cluster that hangs is waited for once, then not for a while, and then asked again", async () => {
  const { places, east, west, records, clock } = makeWorld();
  await east.create(specOf("e1", "east"), silent);
  await west.create(specOf("w1", "west"), silent);
  for (const [id, cluster] of Object.entries({ e1: "east", w1: "west" })) records.set(id, cluster);
  east.before("observe", hang);
  const late = places.observe("e1").catch((error: unknown) => error);
  expect(await places.observe("w1")).toMatchObject({ power: "sleeping" });
  await clock.advance(10_000);
  expect(await late).toMatchObject({ code: "cluster.unreached" });
  await expect(places.observe("e1")).rejects.toMatchObject({ code: "cluster.unreached" });
  expect(await places.list()).toEqual(["w1"]);
  expect(await places.observe("w1")).toMatchObject({ power: "sleeping" });
  east.heal();
  await clock.advance(5_000);
  expect(await places.observe("e1")).toMatchObject({ power: "sleeping" });
  expect((await places.list()).sort()).toEqual(["e1", "w1"]);
  expect(clock.pendingCount).toBe(0);
});

// A sweep waited for each of its environments anew, five seconds for every one of two hundred.
test("a cluster that says itself that it does not answer is not asked again for a while", async () => {
  const { places, east, records, clock } = makeWorld();
  east.before("observe", () => {
    throw new Fault("cluster.unreached", "Cannot look", { told: "it does not answer" });
  });
  for (const id of ["e1", "e2"]) {
    records.set(id, "east");
    await expect(places.observe(id)).rejects.toMatchObject({ code: "cluster.unreached" });
  }
  expect(east.countOf("observe")).toBe(1);
  east.heal();
  await clock.advance(5_000);
  expect(await places.observe("e2")).toMatchObject({ power: "absent" });
});

test("makePlaces() tells what the machine lacks only where it is the only place", () => {
  const lacking = Object.assign(new FakeRuntime(), { lacks: ["no network"] });
  const { clock } = makeWorld();
  const { log } = recordingLog();
  const placeOf = async (): Promise<undefined> => undefined;
  const lacksOf = (names: readonly string[]): readonly string[] =>
    makePlaces(new Map(names.map((name) => [name, lacking])), placeOf, { clock, log }).lacks;
  expect(lacksOf(["local"])).toEqual(["no network"]);
  expect(lacksOf(["local", "east"])).toEqual([]);
});

test("baseEnv() asks the cluster that is named", () => {
  const { places, west } = makeWorld();
  west.baseEnv = () => ({ PATH: "/west" });
  expect(places.baseEnv("dev", "/workspace/hello", "west")).toEqual({ PATH: "/west" });
  expect(places.baseEnv("dev", "/workspace/hello")).toEqual({ PATH: "/bin", HOME: "/home/dev" });
});

test("claim() refuses where there are no pools", async () => {
  const { places, east } = makeWorld();
  Object.assign(east, { claim: undefined });
  const claiming = places.claim?.(specOf("e1", "east"), {} as StartSpec, silent, never);
  await expect(claiming).rejects.toMatchObject({ code: "runtime.unable" });
});
