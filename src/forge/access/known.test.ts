import { expect, test } from "vitest";
import { HandClock } from "../../../test/fakes/hand-clock.ts";
import type { ForgeRole } from "../../wire/forge.ts";
import { type Change, Known, type RepositoryState } from "./known.ts";

const NOW = 1_800_000_000_000;
const shop = { forge: "hub", id: "10" };
const ada = { forge: "hub", id: "1" };
const bob = { forge: "hub", id: "2" };

const connected: RepositoryState = {
  ...{ owner: "acme", name: "Shop", cloneUrl: "https://hub.test/acme/shop.git", isPrivate: true },
  ...{ state: "connected", verifiedAt: NOW - 100 },
};

function make(): { known: Known; changes: Change[]; clock: HandClock } {
  const clock = new HandClock(NOW);
  const known = new Known(clock);
  known.takeRepository(shop, connected);
  known.meet(ada, "ada");
  known.meet(bob, "bob");
  const changes: Change[] = [];
  known.onChange((change) => changes.push(change));
  return { known, changes, clock };
}

const listed = (verifiedAt: number, roles: Readonly<Record<string, ForgeRole>>) => ({
  verifiedAt,
  source: "GET list",
  roles: Object.entries(roles).map(([accountId, role]) => ({ accountId, role })),
});
const single = (verifiedAt: number, role: ForgeRole) => ({ verifiedAt, role, source: "GET one" });

test.each<[string, (known: Known) => void, ForgeRole]>([
  [
    "a list after an answer",
    (known) => {
      known.takeRole(shop, ada, single(NOW - 9, "write"));
      known.takeRoles(shop, listed(NOW - 8, {}));
    },
    "none",
  ],
  [
    "an answer after a list",
    (known) => {
      known.takeRoles(shop, listed(NOW - 9, {}));
      known.takeRole(shop, ada, single(NOW - 8, "write"));
    },
    "write",
  ],
  [
    "a list that was overtaken by an answer",
    (known) => {
      known.takeRole(shop, ada, single(NOW - 8, "none"));
      known.takeRoles(shop, listed(NOW - 9, { 1: "admin" }));
    },
    "none",
  ],
  [
    "an answer that was overtaken by a list",
    (known) => {
      known.takeRoles(shop, listed(NOW - 8, {}));
      known.takeRole(shop, ada, single(NOW - 9, "write"));
    },
    "none",
  ],
  [
    "an answer that was overtaken by another",
    (known) => {
      known.takeRole(shop, ada, single(NOW - 8, "none"));
      known.takeRole(shop, ada, single(NOW - 9, "write"));
    },
    "none",
  ],
  [
    "two answers of one millisecond",
    (known) => {
      known.takeRole(shop, ada, single(NOW - 8, "none"));
      known.takeRole(shop, ada, single(NOW - 8, "write"));
    },
    "none",
  ],
  [
    "a list and an answer of one millisecond",
    (known) => {
      known.takeRoles(shop, listed(NOW - 8, { 1: "write" }));
      known.takeRole(shop, ada, single(NOW - 8, "read"));
    },
    "read",
  ],
  [
    "an answer and a list of one millisecond",
    (known) => {
      known.takeRole(shop, ada, single(NOW - 8, "read"));
      known.takeRoles(shop, listed(NOW - 8, { 1: "write" }));
    },
    "read",
  ],
  [
    "an answer from a future that was a wrong clock's",
    (known) => {
      known.takeRole(shop, ada, single(NOW + 9_999, "write"));
      known.takeRole(shop, ada, single(NOW - 1, "none"));
    },
    "none",
  ],
])("role() after %s", (_, take, role) => {
  const { known } = make();
  take(known);
  expect(known.role(shop, ada)?.role).toBe(role);
});

test("takeRoles() tells of a change, and nothing when everybody has what they had", () => {
  const { known, changes } = make();
  expect(known.takeRoles(shop, listed(NOW - 9, { 1: "write" }))).toBe("changed");
  expect(known.takeRoles(shop, listed(NOW - 8, { 1: "write" }))).toBe("same");
  expect(known.takeRoles(shop, listed(NOW - 9, {}))).toBe("late");
  expect(changes).toEqual([{ type: "roles", repository: shop }]);
  expect(known.role(shop, ada)).toEqual({ role: "write", verifiedAt: NOW - 8, source: "GET list" });
  expect(known.role(shop, bob)).toMatchObject({ role: "none", verifiedAt: NOW - 8 });
  expect(known.repositories.find(shop)?.facts.rolesVerifiedAt).toBe(NOW - 8);
});

test("takeKeys() keeps to the later list, and to what both say of one millisecond", () => {
  const { known } = make();
  known.takeKeys(ada, { keys: ["a", "b"], verifiedAt: NOW - 8 });
  known.takeKeys(ada, { keys: ["c"], verifiedAt: NOW - 9 });
  expect(known.accounts.ownerOf("c")).toBeUndefined();
  known.takeKeys(ada, { keys: ["b", "c"], verifiedAt: NOW - 8 });
  expect(known.accounts.find(ada)?.facts.keys).toEqual(["b"]);
  expect(known.accounts.ownerOf("a")).toBeUndefined();
});

test("takeKeys() tells both accounts when a key comes to be shared, and when it is not any more", () => {
  const { known, changes } = make();
  known.takeKeys(ada, { keys: ["a"], verifiedAt: NOW - 9 });
  known.takeKeys(bob, { keys: ["a", "b"], verifiedAt: NOW - 9 });
  expect(known.accounts.ownerOf("a")).toMatchObject({ type: "shared", accounts: [{ id: "1" }, { id: "2" }] });
  expect(known.accounts.isShared("a")).toBe(true);
  expect(changes.filter(({ type }) => type === "shared")).toHaveLength(1);
  changes.length = 0;
  known.takeKeys(ada, { keys: [], verifiedAt: NOW - 8 });
  expect(known.accounts.ownerOf("a")).toMatchObject({ type: "account", account: { id: "2" } });
  expect(changes).toEqual([
    { type: "account", account: ada },
    { type: "account", account: bob },
  ]);
});

test("takeAccount() takes the keys from an account that is gone", () => {
  const { known } = make();
  known.takeKeys(ada, { keys: ["a"], verifiedAt: NOW - 9 });
  known.takeAccount(ada, { login: "ada", fullName: "Ada", email: "", state: "gone", verifiedAt: NOW - 8 });
  expect(known.accounts.ownerOf("a")).toBeUndefined();
  known.takeKeys(bob, { keys: ["a"], verifiedAt: NOW - 8 });
  expect(known.accounts.ownerOf("a")).toMatchObject({ type: "account", account: { id: "2" } });
});

test("takeRepository() moves a repository to its new name, and from all names when it is gone", () => {
  const { known } = make();
  known.takeRepository(shop, { ...connected, name: "Store", verifiedAt: NOW - 8 });
  expect(known.repositories.named("shop")).toEqual([]);
  expect(known.repositories.named("STORE")).toHaveLength(1);
  known.takeRepository(shop, { ...connected, name: "Store", state: "gone", verifiedAt: NOW - 7 });
  expect(known.repositories.named("store")).toEqual([]);
  expect(known.repositories.find(shop)?.facts.state).toBe("gone");
  known.takeRepository(shop, { ...connected, name: "Store", verifiedAt: NOW - 6 });
  expect(known.repositories.named("store-front-v2", { prefix: true })).toHaveLength(1);
});
