import { expect, test } from "vitest";
import { describeStores } from "../../test/harness/each-store.ts";
import type { Allowance, NewEnvironment } from "./environments.ts";

const plenty: Allowance = { perPerson: 1_000, firstUid: 1_000, uidCount: 10_000 };

function fresh(person: string, branch: string, id = `${person}${branch}`): NewEnvironment {
  const login = `hello-${branch}`;
  return { id, person, repository: "hello", branch, login, fromBranch: undefined, hostname: login, inventory: [] };
}

describeStores((given) => {
  test("openStore() finds what was there before it was closed", async () => {
    {
      await using store = await given.open();
      await store.environments.add({ ...fresh("ada", "main"), fromBranch: "dev" }, plenty);
      const { fence } = await store.environments.begin("adamain", "starting");
      await store.environments.update("adamain", fence, {
        power: "running",
        conditions: [{ type: "onCreateCommand", status: "true", message: "", at: 5 }],
        inventory: [{ type: "sandbox", id: "adamain", state: "present" }],
        definition: { path: ".devcontainer.json", text: "{}" },
      });
    }
    await using store = await given.open();
    expect(await store.environments.findByLogin("ada", "hello-main")).toMatchObject({
      id: "adamain",
      fromBranch: "dev",
      uid: 1_000,
      desired: "present",
      power: "running",
      operation: "starting",
      fence: 1,
      conditions: [{ type: "onCreateCommand", status: "true", message: "", at: 5 }],
      inventory: [{ type: "sandbox", id: "adamain", state: "present" }],
      definition: { path: ".devcontainer.json", text: "{}" },
    });
  });
});
