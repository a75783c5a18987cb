import { expect, test } from "vitest";
import { never } from "../../test/fakes/controller-world.ts";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import type { EnvironmentRecord } from "../store/environments.ts";
import { resolveLogin, type ResolveOptions } from "./resolve.ts";

const record: EnvironmentRecord = {
  ...{ id: "e1", person: "ada", repository: "hub.10", repositoryName: "shop", branch: "main", login: "shop-main" },
  ...{ hostname: "shop-main", uid: 1, power: "running", operation: undefined, desired: "present" },
  ...{
    createdAt: 0,
    lastActiveAt: 0,
    inventory: [],
    conditions: [],
    fromBranch: undefined,
    cluster: "local",
    fence: 0,
    definition: undefined,
  },
};

// Law: "a login decision waits at most 2 s for a fresh answer". The environment that was there was decided on first, and when that
// was refused everything that the login may mean, for 2 s more.
test("resolveLogin() waits for the forge once, whatever is asked for a login, and says what it was told", async () => {
  const clock = new HandClock(1_000_000);
  const waits: (number | undefined)[] = [];
  const directory: ResolveOptions["directory"] = {
    mayUse: async () => {
      await clock.sleep(1_700);
      return { allowed: false, isUnverified: true, told: "hub could not be asked whether ada may use acme/shop" };
    },
    usable: async (_who, _login, _signal, waitMs) => {
      waits.push(waitMs);
      return { repositories: [], told: ["ada may only read acme/shop"] };
    },
  };
  const store = { findByLogin: async () => record, list: async () => [] };
  const mirrors = { branches: async () => [], refresh: async () => ({ stale: false, askedAt: 0 }) };
  const login = { type: "hyphenated", text: "shop-main" } as const;
  const resolving = resolveLogin({ person: "ada", key: "" }, login, { store, mirrors, directory, clock }, never);
  const refusal = expect(resolving).rejects.toMatchObject({
    code: "login.unknown",
    told: "no repository and branch of yours fits shop-main; ada may only read acme/shop",
  });
  await clock.advance(1_700);
  await refusal;
  expect(waits).toEqual([300]);
});
