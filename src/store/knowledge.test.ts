import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { describeStores } from "../../test/harness/each-store.ts";
import { expectKnown, learnings, readKnown, save } from "../../test/harness/knowledge-model.ts";
import { makeClock } from "../base/clock.ts";
import type { AccountFacts, ForgeRole, RepositoryFacts, RoleFact } from "../wire/forge.ts";
import type { KnowledgeStore } from "../wire/knowledge.ts";
import type { Store } from "./store.ts";

const ada: AccountFacts = {
  ...{ forge: "github", id: "7", login: "ada", fullName: "Ada L.", email: "ada@example.com" },
  ...{ state: "active", stateVerifiedAt: 1_000, keys: ["a2V5"], keysVerifiedAt: 1_000 },
};

const shop: RepositoryFacts = {
  ...{ forge: "github", id: "9", owner: "acme", name: "shop", cloneUrl: "https://github.com/acme/shop.git" },
  ...{ isPrivate: true, state: "connected", stateVerifiedAt: 1_000, rolesVerifiedAt: undefined },
};

function fact(accountId: string, role: ForgeRole, verifiedAt: number, source = "GET /one"): RoleFact {
  return { accountId, role, verifiedAt, source };
}

function byAccount(roles: readonly RoleFact[]): RoleFact[] {
  return [...roles].sort((one, other) => (one.accountId < other.accountId ? -1 : 1));
}

describeStores((given) => {
  let store: Store;
  let knowledge: KnowledgeStore;
  beforeEach(async () => {
    store = await given.open();
    ({ knowledge } = store);
  });

  const rolesOfShop = async (): Promise<RoleFact[]> => byAccount(await knowledge.findRoles(shop));

  describe("accounts", () => {
    test("saveAccount() keeps every fact over a restart", async () => {
      const bob = { ...ada, id: "8", login: "bob", keys: [], keysVerifiedAt: undefined };
      await knowledge.saveAccount(ada);
      await knowledge.saveAccount(bob);
      await store.close();
      ({ knowledge } = await given.open());
      expect(await knowledge.findAccount(ada)).toEqual(ada);
      expect(await knowledge.findAccount(bob)).toEqual(bob);
      expect(await knowledge.findAccount({ ...ada, forge: "gitlab" })).toBeUndefined();
      expect(byId(await knowledge.accounts())).toEqual([ada, bob]);
    });

    test("saveAccount() changes nothing by an answer that was asked for earlier", async () => {
      await knowledge.saveAccount(ada);
      await knowledge.saveAccount({ ...ada, login: "old", state: "gone", stateVerifiedAt: 999, keysVerifiedAt: 999 });
      expect(await knowledge.findAccount(ada)).toEqual(ada);
    });

    test("saveAccount() tells state and keys apart", async () => {
      await knowledge.saveAccount(ada);
      const suspended = { ...ada, state: "suspended", stateVerifiedAt: 2_000, keys: [], keysVerifiedAt: 500 } as const;
      await knowledge.saveAccount(suspended);
      expect(await knowledge.findAccount(ada)).toEqual({ ...suspended, keys: ada.keys, keysVerifiedAt: 1_000 });
      await knowledge.saveAccount({ ...ada, login: "old", keys: ["bmV3"], keysVerifiedAt: 3_000 });
      expect(await knowledge.findAccount(ada)).toEqual({ ...suspended, keys: ["bmV3"], keysVerifiedAt: 3_000 });
    });

    test("saveAccount() keeps keys when it is saved by somebody who never asked for them", async () => {
      await knowledge.saveAccount(ada);
      await knowledge.saveAccount({ ...ada, stateVerifiedAt: 2_000, keys: [], keysVerifiedAt: undefined });
      expect(await knowledge.findAccount(ada)).toEqual({ ...ada, stateVerifiedAt: 2_000 });
    });
  });

  describe("repositories", () => {
    test("saveRepository() keeps every fact, and changes nothing by an answer that was asked for earlier", async () => {
      await knowledge.saveRepository(shop);
      expect(await knowledge.findRepository(shop)).toEqual(shop);
      const later = { ...shop, name: "store", isPrivate: false, state: "archived", stateVerifiedAt: 2_000 } as const;
      await knowledge.saveRepository(later);
      await knowledge.saveRepository({ ...shop, stateVerifiedAt: 1_500 });
      expect(await knowledge.repositories()).toEqual([later]);
      expect(await knowledge.findRepository({ forge: "github", id: "10" })).toBeUndefined();
    });

    test("saveRepository() leaves it to saveRoles() when the list was verified, whichever comes first", async () => {
      await knowledge.saveRoles(shop, { verifiedAt: 1_234, source: "GET /list", roles: [] });
      await knowledge.saveRepository({ ...shop, rolesVerifiedAt: 9_999 });
      expect(await knowledge.findRepository(shop)).toEqual({ ...shop, rolesVerifiedAt: 1_234 });
    });
  });

  describe("roles", () => {
    test("saveRoles() replaces every role that was verified before it, and leaves those verified after it", async () => {
      for (const one of [fact("1", "read", 1_000), fact("2", "write", 1_000), fact("3", "admin", 3_000)])
        await knowledge.saveRole(shop, one);
      await knowledge.saveRole(shop, fact("4", "none", 3_000));
      const roles = [
        { accountId: "1", role: "admin" },
        { accountId: "3", role: "read" },
        { accountId: "4", role: "read" },
        { accountId: "5", role: "read" },
      ] as const;
      await knowledge.saveRoles(shop, { verifiedAt: 2_000, source: "GET /list", roles });
      expect(await rolesOfShop()).toEqual([
        fact("1", "admin", 2_000, "GET /list"),
        fact("3", "admin", 3_000),
        fact("4", "none", 3_000),
        fact("5", "read", 2_000, "GET /list"),
      ]);
      await knowledge.saveRoles(shop, { verifiedAt: 4_000, source: "GET /again", roles: roles.slice(0, 1) });
      expect(await rolesOfShop()).toEqual([fact("1", "admin", 4_000, "GET /again")]);
      await knowledge.saveRoles(shop, { verifiedAt: 5_000, source: "GET /empty", roles: [] });
      expect(await rolesOfShop()).toEqual([]);
    });

    test("saveRoles() and saveRole() change nothing by an answer that was asked for earlier", async () => {
      const roles = [{ accountId: "1", role: "read" }] as const;
      await knowledge.saveRoles(shop, { verifiedAt: 2_000, source: "GET /list", roles });
      await knowledge.saveRoles(shop, { verifiedAt: 1_000, source: "GET /old", roles: [] });
      await knowledge.saveRole(shop, fact("1", "admin", 1_500));
      await knowledge.saveRole(shop, fact("2", "admin", 1_500));
      expect(await rolesOfShop()).toEqual([fact("1", "read", 2_000, "GET /list")]);
      await knowledge.saveRole(shop, fact("1", "write", 3_000));
      await knowledge.saveRole(shop, fact("1", "admin", 2_500));
      expect(await rolesOfShop()).toEqual([fact("1", "write", 3_000)]);
    });

    test("saveRoles() takes an account that is in a list twice, as when pages shift, by its last entry", async () => {
      const roles = [
        { accountId: "1", role: "read" },
        { accountId: "1", role: "write" },
      ] as const;
      await knowledge.saveRoles(shop, { verifiedAt: 2_000, source: "GET /list", roles });
      expect(await rolesOfShop()).toEqual([fact("1", "write", 2_000, "GET /list")]);
    });

    test("saveRoles() writes 5,000, and the same again with a later time", async () => {
      const roles = Array.from({ length: 5_000 }, (_, index) => ({ accountId: `${index}`, role: "write" as const }));
      await knowledge.saveRoles(shop, { verifiedAt: 1_000, source: "GET /list", roles });
      await knowledge.saveRoles(shop, { verifiedAt: 2_000, source: "GET /list", roles });
      expect(await knowledge.findRoles(shop)).toHaveLength(5_000);
      expect((await knowledge.findRoles(shop)).every(({ verifiedAt }) => verifiedAt === 2_000)).toBe(true);
    });

    test("roles() yields each repository with a role once, with all of its roles", async () => {
      const saved = new Map<string, string[]>();
      for (const [forge, count] of [
        ["a", 3],
        ["b", 620],
        ["c", 1],
      ] as const) {
        for (let id = 0; id < count; id++) {
          const accounts = Array.from({ length: forge === "c" ? 700 : 2 }, (_, index) => `${index}`).sort();
          saved.set(`${forge}.${id}`, accounts);
          const roles = accounts.map((accountId) => ({ accountId, role: "read" as const }));
          await knowledge.saveRoles({ forge, id: `${id}` }, { verifiedAt: 1_000, source: "GET /list", roles });
        }
      }
      await knowledge.saveRoles({ forge: "d", id: "1" }, { verifiedAt: 1_000, source: "GET /list", roles: [] });
      const found = new Map<string, string[]>();
      for await (const { repository, roles } of knowledge.roles()) {
        const key = `${repository.forge}.${repository.id}`;
        expect(found.has(key)).toBe(false);
        found.set(key, roles.map(({ accountId }) => accountId).sort());
      }
      expect(found).toEqual(saved);
    });
  });

  describe("answers", () => {
    test("answersOf() keeps the last answer to each address, by forge", async () => {
      const [github, gitlab] = [store.answersOf("github"), store.answersOf("gitlab")];
      await github.write("/a", { etag: '"1"', body: "[1]", next: "/a?page=2" });
      expect(await github.read("/a")).toEqual({ etag: '"1"', body: "[1]", next: "/a?page=2" });
      await github.write("/a", { etag: '"2"', body: "[2]" });
      expect(await github.read("/a")).toEqual({ etag: '"2"', body: "[2]" });
      expect(await github.read("/b")).toBeUndefined();
      expect(await gitlab.read("/a")).toBeUndefined();
    });
  });

  describe("leases", () => {
    test("holdLease() gives a lease to one holder, who may keep it, until its time is over", async () => {
      expect(await knowledge.holdLease("poll", "one", 60_000)).toBe(true);
      expect(await knowledge.holdLease("poll", "other", 60_000)).toBe(false);
      expect(await knowledge.holdLease("else", "other", 60_000)).toBe(true);
      expect(await knowledge.holdLease("poll", "one", 50)).toBe(true);
      await sleep(80);
      expect(await knowledge.holdLease("poll", "other", 60_000)).toBe(true);
      expect(await knowledge.holdLease("poll", "one", 60_000)).toBe(false);
      expect(await knowledge.holdLease("poll", "other", 0)).toBe(true);
      expect(await knowledge.holdLease("poll", "one", 60_000)).toBe(true);
    });

    test("holdLease() goes by the clock of the database, whatever ours says", async () => {
      expect(await knowledge.holdLease("poll", "one", 60_000)).toBe(true);
      await store.close();
      const late = await given.open({ clock: { ...makeClock(), now: () => Date.now() + 3_600_000 } });
      expect(await late.knowledge.holdLease("poll", "other", 60_000)).toBe(false);
    });
  });

  test("saves that come in any order end in the facts that were verified last", async () => {
    let round = 0;
    await fc.assert(
      fc.asyncProperty(learnings, async (learned) => {
        const forge = `forge${++round}`;
        for (const one of learned) await save(knowledge, forge, one);
        expect(await readKnown(knowledge, forge)).toEqual(expectKnown(forge, learned));
      }),
      { numRuns: 60 },
    );
  });

  test("saves that are under way at once end in the facts that were verified last", async () => {
    let round = 0;
    await fc.assert(
      fc.asyncProperty(learnings, async (learned) => {
        const forge = `forge${++round}`;
        await Promise.all(learned.map((one) => save(knowledge, forge, one)));
        expect(await readKnown(knowledge, forge)).toEqual(expectKnown(forge, learned));
      }),
      { numRuns: 60 },
    );
  });
});

function byId<Item extends { readonly id: string }>(items: readonly Item[]): Item[] {
  return [...items].sort((one, other) => Number(one.id) - Number(other.id));
}
