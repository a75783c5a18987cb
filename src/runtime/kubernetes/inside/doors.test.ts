import { PassThrough } from "node:stream";
import { expect, test } from "vitest";

import { HandClock } from "../../../../test/fakes/hand-clock.ts";
import { recordingLog } from "../../../../test/fakes/recording-log.ts";
import type { Exec, ExecEnd } from "../api/cluster-api.ts";
import { type DoorPod, type Doors, makeDoors } from "./doors.ts";

const POD: DoorPod = { namespace: "n", name: "api-1", container: "main", uid: "u1" };
const NEVER = new AbortController().signal;
const MINUTE = 60_000;

interface OpenedDoor extends Exec {
  end(end: ExecEnd): void;
}

interface World {
  readonly clock: HandClock;
  readonly doors: Doors;
  readonly opened: OpenedDoor[];
  /** What opening rejects with from now on. */
  failure: Error | undefined;
  readonly openCount: () => number;
}

function makeWorld(): World {
  const clock = new HandClock();
  const opened: OpenedDoor[] = [];
  const exec = async (): Promise<Exec> => {
    if (world.failure !== undefined) throw world.failure;
    const { promise: ended, resolve: end } = Promise.withResolvers<ExecEnd>();
    const stream = new PassThrough();
    stream.once("close", () => end({ type: "lost", reason: "closed" }));
    const door = { stream, ended, end, canEndInput: false, stderr: () => "" };
    opened.push(door);
    return door;
  };
  const world: World = {
    ...{ clock, opened, failure: undefined, doors: makeDoors({ open: exec, clock, log: recordingLog().log }) },
    openCount: () => opened.filter(({ stream }) => !stream.destroyed).length,
  };
  return world;
}

test("take() hands over the door that waits, and another is opened a little later", async () => {
  const { doors, opened, clock } = makeWorld();
  doors.prepare("a", POD);
  await clock.advance(0);
  expect(await doors.take("a", POD, NEVER)).toBe(opened[0]);
  await clock.advance(299);
  expect(opened.length).toBe(1);
  await clock.advance(1);
  expect(opened.length).toBe(2);
  doors.prepare("a", POD);
  await clock.advance(0);
  expect(opened.length).toBe(2);
});

test("take() opens doors for connections that come at once, and none waits twice", async () => {
  const { doors, opened, clock } = makeWorld();
  const taken = await Promise.all([1, 2, 3].map(async () => doors.take("a", POD, NEVER)));
  expect(new Set(taken).size).toBe(3);
  await clock.advance(1_000);
  expect(opened.length).toBe(4);
});

test("take() replaces a door that died while it waited", async () => {
  const { doors, opened, clock } = makeWorld();
  doors.prepare("a", POD);
  await clock.advance(0);
  opened[0]?.stream.destroy();
  const door = await doors.take("a", POD, NEVER);
  expect([door === opened[0], door.stream.destroyed]).toEqual([false, false]);
});

test("prepare() opens one that died again, waiting longer each time, and stops when nobody comes", async () => {
  const world = makeWorld();
  world.doors.prepare("a", POD);
  await world.clock.advance(0);
  world.opened[0]?.end({ type: "lost", reason: "the API server restarted" });
  await world.clock.advance(300);
  expect(world.opened.length).toBe(2);
  world.failure = new Error("Cannot open: away");
  world.opened[1]?.end({ type: "lost", reason: "again" });
  await world.clock.advance(9 * MINUTE);
  expect(world.clock.pendingCount).toBe(1);
  await world.clock.advance(2 * MINUTE);
  expect(world.clock.pendingCount).toBe(0);
});

test("a door is closed after 10 minutes without use, and the next connection opens one", async () => {
  const { doors, opened, clock, openCount } = makeWorld();
  doors.prepare("a", POD);
  await clock.advance(10 * MINUTE - 1);
  expect(openCount()).toBe(1);
  await clock.advance(1);
  expect([openCount(), clock.pendingCount]).toEqual([0, 0]);
  expect(await doors.take("a", POD, NEVER)).toBe(opened[1]);
});

test("a new pod of an environment has doors of its own", async () => {
  const { doors, opened, clock } = makeWorld();
  doors.prepare("a", POD);
  await clock.advance(0);
  expect(await doors.take("a", { ...POD, uid: "u2" }, NEVER)).toBe(opened[1]);
  expect(opened[0]?.stream.destroyed).toBe(true);
});

test("close() closes the door that waits or is being opened, leaves those in use, and opens no more", async () => {
  const { doors, opened, clock, openCount } = makeWorld();
  const used = await doors.take("a", POD, NEVER);
  await clock.advance(300);
  doors.prepare("b", POD);
  doors.closeAll();
  await clock.advance(20 * MINUTE);
  expect([openCount(), clock.pendingCount, used.stream.destroyed]).toEqual([1, 0, false]);
  expect(opened.length).toBe(3);
});

test("take() gives up when it is told to, and closes what comes too late", async () => {
  const clock = new HandClock();
  const late = Promise.withResolvers<Exec>();
  const doors = makeDoors({ open: () => late.promise, clock, log: recordingLog().log });
  doors.prepare("a", POD);
  const stop = new AbortController();
  const taking = doors.take("a", POD, stop.signal);
  stop.abort();
  await expect(taking).rejects.toThrow(/aborted/);
  const stream = new PassThrough();
  late.resolve({ stream, ended: new Promise(() => {}), canEndInput: false, stderr: () => "" });
  await clock.advance(0);
  expect(stream.destroyed).toBe(true);
});
