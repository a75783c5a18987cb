import { beforeEach, expect, test } from "vitest";
import { never } from "../../test/fakes/controller-world.ts";
import { makeWorld, type World } from "../../test/fakes/controller-world.ts";
import { type FakeEnvironment, NOTHING_UNSAVED } from "../../test/fakes/fake-runtime.ts";
import { Fault } from "../base/fault.ts";
import type { Environments } from "./environments.ts";

const SLEEPLESS = "environments here cannot sleep";

let world: World;
let service: Environments;
let there: FakeEnvironment;
const cut: string[] = [];
beforeEach(async () => {
  world = await makeWorld();
  service = world.serve();
  const { id } = await service.enter({ who: { person: "ada", key: "" }, login: "hello-main" }, () => undefined, never);
  there = world.runtime.environments.get(id)!;
  there.sleepless = SLEEPLESS;
  cut.length = 0;
  service.onGone(id, (reason) => cut.push(reason));
  return () => world[Symbol.asyncDispose]();
});

const ref = { person: "ada", login: "hello-main" };
const remove = (force = false) => service.remove(ref, { force, by: "ada" });

// Everybody in it was cut before anybody saw that it cannot sleep.
test("sleep() refuses where files would be lost, and nobody is cut for it", async () => {
  await expect(service.sleep(ref, { by: "ada" })).rejects.toMatchObject({ code: "runtime.unable", told: SLEEPLESS });
  expect(cut).toEqual([]);
  expect(there.power).toBe("running");
});

// It said that it cannot sleep and is to be removed, to whoever removed it.
test("remove() removes what cannot sleep once all is pushed, and refuses before", async () => {
  there.unsaved = { ...NOTHING_UNSAVED, changedPaths: ["a"], changedCount: 1 };
  await expect(remove()).rejects.toMatchObject({ code: "environment.unsaved" });
  there.unsaved = NOTHING_UNSAVED;
  await remove();
  expect(world.runtime.environments.size).toBe(0);
});

test("remove() of what cannot sleep and cannot be looked at needs force", async () => {
  world.runtime.before("unsaved", () => {
    throw new Fault("cluster.refused", "Cannot look", { told: "no process can be started in it" });
  });
  const told = expect.stringMatching(
    /unclear nobody can look for work in it: no process .*\n.*rm hello-main --force/,
  ) as string;
  await expect(remove()).rejects.toMatchObject({ code: "environment.unsaved", told });
  expect(there.power).toBe("running");
  await remove(true);
  expect(world.runtime.environments.size).toBe(0);
});
