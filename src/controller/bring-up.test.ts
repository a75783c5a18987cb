import { beforeEach, expect, test } from "vitest";
import { type ClusterWorld, makeClusterWorld } from "../../test/fakes/cluster-world.ts";
import { hang, never } from "../../test/fakes/controller-world.ts";
import { NOTHING_UNSAVED } from "../../test/fakes/fake-runtime.ts";
import { until } from "../../test/harness/wait.ts";
import { Fault } from "../base/fault.ts";
import type { Environments } from "./environments.ts";

let world: ClusterWorld;
beforeEach(async () => {
  world = await makeClusterWorld();
  world.world.origins.set("hello", ["main", "feature"]);
  addMember("m1");
  return () => world[Symbol.asyncDispose]();
});

/** One that is ready: checked out, with the branch that members are made from. */
function addMember(id: string): void {
  world.members.push(id);
  const blank = { diskBytes: 1_000, unsaved: NOTHING_UNSAVED, log: "" };
  world.runtimes.east.environments.set(id, { ...blank, power: "running", checkedOut: true });
}

/** @returns what ada is told meanwhile */
async function enter(service: Environments): Promise<string[]> {
  const lines: string[] = [];
  await service.enter({ who: { person: "ada", key: "" }, login: "hello-feature" }, (line) => lines.push(line), never);
  return lines;
}

const branches = (): Record<string, string | undefined> =>
  Object.fromEntries([...world.runtimes.east.environments].map(([id, { spec }]) => [id, spec?.source.branch]));

test("a member becomes the environment of whoever claims it, with their branch", async () => {
  expect(await enter(world.serve())).toContain("slipway: claiming a prepared environment … 5 ms");
  expect(branches()).toEqual({ m1: "feature" });
});

// The person was put into what was half claimed, another branch, without a word.
test("a member that breaks while it is claimed goes, and the environment is made anew, with the reason", async () => {
  const { east } = world.runtimes;
  east.before("claim", () => {
    throw new Fault("environment.unstarted", "Cannot claim", { told: "its pod does not run" });
  });
  const lines = await enter(world.serve());
  expect(lines).toContain("slipway: made anew: its pod does not run");
  expect(lines.some((line) => line.startsWith("slipway: checking out feature"))).toBe(true);
  expect(east.calls.filter((call) => call.endsWith(" m1")).slice(0, 3)).toEqual([
    "claim m1",
    "destroy m1",
    "create m1",
  ]);
  expect(branches()).toEqual({ m1: "feature" });
});

// Whoever worked in it was not told that it is set up in part.
test("a command in the background that breaks with its cluster is told of, and runs again at the next start", async () => {
  const { east } = world.runtimes;
  const definition = { customizations: { slipway: {} }, waitFor: "initializeCommand", postCreateCommand: "npm ci" };
  world.members.length = 0;
  east.environments.clear();
  east.sources.set(".devcontainer.json", JSON.stringify(definition));
  east.before("run", () => {
    throw new Fault("cluster.unreached", "Cannot run", { told: "the connection broke" });
  });
  const service = world.serve();
  await enter(service);
  const warning =
    "a lifecycle command was cut off: the connection broke; it runs again when this environment starts next";
  await until("the warning", async () => (await enter(service)).includes(`slipway: ${warning}`));
  east.heal();
  await service.sleep({ person: "ada", login: "hello-feature" }, { by: "ada" });
  await enter(service);
  await until("the command", () => east.commands.length > 0);
});

test("a member whose cluster goes away while it is claimed is left, and taken away when that is back", async () => {
  const { east } = world.runtimes;
  const away = (): void => {
    throw new Fault("cluster.unreached", "Cannot reach east", { told: "the cluster east does not answer" });
  };
  for (const method of ["claim", "destroy"] as const) east.before(method, away);
  const service = world.serve();
  await expect(enter(service)).rejects.toMatchObject({ told: "the cluster east does not answer" });
  east.heal();
  await service.adopt();
  await until("what was half claimed to go", () => east.environments.size === 0);
});

test.each(["before", "after"] as const)(
  "a member whose claim was killed %s its effect is nobody's: whoever wanted it gets one made anew",
  async (when) => {
    const { east } = world.runtimes;
    const reached = Promise.withResolvers<undefined>();
    east[when]("claim", () => {
      reached.resolve(undefined);
      return hang();
    });
    void enter(world.serve());
    await reached.promise;
    east.heal();
    const next = world.serve();
    await next.adopt();
    await enter(next);
    const [id] = Object.keys(branches());
    expect(id).not.toBe("m1");
    expect(branches()).toEqual({ [id ?? ""]: "feature" });
  },
);
