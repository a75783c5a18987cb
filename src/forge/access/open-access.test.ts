import { expect, test } from "vitest";
import { AccessWorld, never, START_AT, subjectOf } from "../../../test/fakes/access-world.ts";
import { makeKey, makeKeyLine } from "../../../test/fakes/fake-forge-client.ts";
import type { ForgeSettings } from "../../wire/forge-settings.ts";

/** Ada (1) may write to shop (10), Bob (2) may read it, Eve (3) has nothing. Their keys have their numbers. */
function makeWorld(settings: Partial<ForgeSettings> = {}): AccessWorld {
  const world = new AccessWorld(settings);
  world.client.addAccount("1", "ada", [1]).addAccount("2", "bob", [2]).addAccount("3", "eve", [3]);
  world.client.addRepository("10", "shop", { 1: "write", 2: "read" }).addRepository("11", "shop-api", { 3: "admin" });
  return world;
}

const ada = subjectOf("1", 1, "10");

test("openAccess() learns repositories, people and keys by itself", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  expect([...access.repositories()].map(({ name }) => name)).toEqual(["shop", "shop-api"]);
  expect(access.ownerOf(makeKey(1))).toMatchObject({ type: "account", account: { id: "1", login: "ada" } });
  expect(access.named("SHOP").map(({ id }) => id)).toEqual(["10"]);
  expect(access.named("shop-api-v2", { prefix: true }).map(({ id }) => id)).toEqual(["10", "11"]);
  expect(access.health()).toMatchObject([{ forge: "hub", isReached: true, repositoryCount: 2, accountCount: 3 }]);
});

test("decide() asks for what it does not know of a collaborator, at the priority of logins, then answers from memory", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  world.client.asked.length = 0;
  const decision = await world.until(access.decide(ada, never));
  expect(decision).toMatchObject({ allowed: true, role: "write", isStale: false });
  expect(new Set(world.client.asked.map(({ priority }) => priority))).toEqual(new Set(["login"]));
  world.client.asked.length = 0;
  await expect(access.decide(ada, never)).resolves.toMatchObject({ allowed: true, isStale: false });
  expect(world.client.asked).toEqual([]);
});

test("decide() asks for all that is old at once, not one after the other", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  await world.clock.advance(31_000);
  world.client.delayMs = 900;
  const begunAt = world.clock.now();
  await world.until(access.decide(ada, never));
  expect(world.clock.now() - begunAt).toBeLessThan(1_100);
  const asked = world.client.asked.filter(({ at, priority }) => at === begunAt && priority === "login");
  expect(asked.map(({ question }) => question).sort()).toEqual(["listKeys", "readRepository", "readRole"]);
});

test.each([
  [
    "the key was deleted",
    (world: AccessWorld) => (world.client.account("1").keys = []),
    "this key is not among the keys that hub lists for ada",
  ],
  [
    "the account is suspended",
    (world: AccessWorld) => (world.client.account("1").isSuspended = true),
    "the account ada is suspended at hub",
  ],
  ["the account is gone", (world: AccessWorld) => world.client.accounts.delete("1"), "hub has no account ada any more"],
  [
    "the role was taken",
    (world: AccessWorld) => world.client.repository("10").roles.delete("1"),
    "ada is no collaborator of acme/shop",
  ],
  [
    "the role was lessened",
    (world: AccessWorld) => world.client.repository("10").roles.set("1", "read"),
    "ada may only read acme/shop, and an environment needs the right to write",
  ],
  [
    "the repository was archived",
    (world: AccessWorld) => (world.client.repository("10").isArchived = true),
    "acme/shop is archived",
  ],
  [
    "the repository was moved or deleted",
    (world: AccessWorld) => (world.client.repository("10").isConnected = false),
    "acme/shop was deleted, or moved to an owner that is not connected",
  ],
])(
  "decide() refuses once it asks again, and watch() calls back within the poll interval, when %s",
  async (_, change, told) => {
    await using world = makeWorld();
    const access = await world.openKnowing();
    await world.until(access.decide(ada, never));
    const revocations: { told: string; at: number }[] = [];
    access.watch(ada, (why) => revocations.push({ told: why, at: world.clock.now() }));
    await world.clock.advance(4_000);
    expect(revocations).toEqual([]);
    change(world);
    const changedAt = world.clock.now();
    await world.clock.advance(30_000);
    expect(revocations.map((revocation) => revocation.told)).toEqual([told]);
    expect((revocations[0]?.at ?? Infinity) - changedAt).toBeLessThanOrEqual(30_000);
    await world.clock.advance(31_000);
    await expect(world.until(access.decide(ada, never))).resolves.toMatchObject({ allowed: false, type: "no", told });
  },
);

test("decide() tells somebody without a role nothing of a repository but what they called it", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  world.client.repository("10").isArchived = true;
  const decision = await world.until(access.decide({ ...subjectOf("3", 3, "10"), typed: "Shop" }, never));
  expect(decision).toMatchObject({ allowed: false, type: "no", told: "eve is no collaborator of Shop" });
});

test("decide() lets somebody in at once who was just made a collaborator, though they were refused before", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  const eve = subjectOf("3", 3, "10");
  await expect(world.until(access.decide(eve, never))).resolves.toMatchObject({ allowed: false });
  world.client.repository("10").roles.set("3", "write");
  await world.clock.advance(5_100);
  await expect(world.until(access.decide(eve, never))).resolves.toMatchObject({ allowed: true });
});

test("decide() lets readers in where the settings say so", async () => {
  await using world = makeWorld({ minimumRole: "read" });
  const access = await world.openKnowing();
  await expect(world.until(access.decide(subjectOf("2", 2, "10"), never))).resolves.toMatchObject({
    allowed: true,
    role: "read",
  });
});

test("decide() waits less for a slow forge when it is told to, and never longer than 2 s", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  await world.clock.advance(40_000);
  world.client.delayMs = 5_000;
  for (const [waitMs, most] of [
    [300, 400],
    [9_000, 2_100],
  ] as const) {
    const begunAt = world.clock.now();
    await expect(world.until(access.decide(ada, never, waitMs))).resolves.toMatchObject({ isStale: true });
    expect(world.clock.now() - begunAt).toBeLessThanOrEqual(most);
  }
});

test("decide() waits 2 s for a slow forge, then goes by the last good answer, and says that it is stale", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  await world.clock.advance(60_000);
  world.client.delayMs = 9_000;
  const begunAt = world.clock.now();
  const decision = await world.until(access.decide(ada, never));
  expect(decision).toMatchObject({ allowed: true, isStale: true });
  expect(world.clock.now() - begunAt).toBeGreaterThanOrEqual(2_000);
  expect(world.clock.now() - begunAt).toBeLessThan(2_200);
});

test("decide() goes by the last good answer for the grace time only, then refuses with the reason", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  const verifiedAt = world.clock.now();
  world.client.failure = "forge.unreached";
  await world.clock.advance(3_500_000);
  await expect(world.until(access.decide(ada, never))).resolves.toMatchObject({ allowed: true, isStale: true });
  await world.clock.advance(verifiedAt + 3_600_001 - world.clock.now());
  await expect(world.until(access.decide(ada, never))).resolves.toMatchObject({
    allowed: false,
    type: "unverified",
    told: "hub could not be asked (the forge gave no whole answer) whether ada may use acme/shop, and its last answer is too old",
  });
});

test("decide() asks for what would grow old while it waits for the rest, so that nobody is refused for its sake", async () => {
  await using world = makeWorld({ graceMs: 0 });
  const access = await world.openKnowing();
  await world.clock.advance(31_000);
  await world.until(access.hint("hub", [{ type: "role", accountId: "1", repositoryId: "10" }]));
  await world.clock.advance(100);
  await world.until(access.hint("hub", [{ type: "account", accountId: "1" }]));
  world.client.delayMs = 500;
  const { rolesVerifiedAt = 0 } = access.repository({ forge: "hub", id: "10" }) ?? {};
  expect(rolesVerifiedAt).toBeLessThan(world.clock.now() - 30_000);
  await world.clock.advance(29_950);
  await expect(world.until(access.decide(ada, never))).resolves.toMatchObject({ allowed: true, isStale: false });
});

test("decide() uses nothing stale when the grace time is 0", async () => {
  await using world = makeWorld({ graceMs: 0 });
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  await world.clock.advance(31_000);
  world.client.failure = "forge.limited";
  await expect(world.until(access.decide(ada, never))).resolves.toMatchObject({ allowed: false, type: "unverified" });
});

test("decide() lets nobody new in during an outage", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  world.client.failure = "forge.unreached";
  await expect(world.until(access.decide(ada, never))).resolves.toMatchObject({ allowed: false, type: "unverified" });
});

test("decide() keeps to a definite no during an outage", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  await world.clock.advance(31_000);
  world.client.repository("10").roles.delete("1");
  await world.until(access.decide(ada, never));
  world.client.failure = "forge.unreached";
  await world.clock.advance(31_000);
  await expect(world.until(access.decide(ada, never))).resolves.toMatchObject({ allowed: false, type: "no" });
});

test("decide() rejects when its signal aborts", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  world.client.delayMs = 1_000;
  const stop = new AbortController();
  const deciding = access.decide(ada, stop.signal);
  stop.abort(new Error("Cannot go on: the client left"));
  await expect(deciding).rejects.toThrow("Cannot go on: the client left");
});

test("decide() shares one request among many who log in at the same time", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.clock.advance(31_000);
  world.client.asked.length = 0;
  world.client.delayMs = 100;
  await world.until(Promise.all(Array.from({ length: 50 }, () => access.decide(ada, never))));
  expect(world.client.countOf("readRole")).toBe(1);
  expect(world.client.countOf("listKeys")).toBe(1);
});

test("ownerOf() says that a key on two accounts is shared, and the operator alone is told whose", async () => {
  await using world = makeWorld();
  world.client.account("3").keys.push(makeKeyLine(1));
  const access = await world.openKnowing();
  expect(access.ownerOf(makeKey(1))).toMatchObject({ type: "shared", accounts: [{ forge: "hub" }, { forge: "hub" }] });
  const told = "this key belongs to more than one account, so it does not say who you are";
  await expect(world.until(access.decide(ada, never))).resolves.toMatchObject({ allowed: false, type: "no", told });
  const logged = world.logged.lines.filter(({ event }) => event === "access.key-shared");
  expect(logged).toHaveLength(1);
  expect(JSON.stringify(logged[0]?.facts)).toMatch(/"login":"ada".*"login":"eve"|"login":"eve".*"login":"ada"/);
  expect(logged[0]?.facts["keys"]).toEqual([expect.stringMatching(/^SHA256:.{43}$/)]);
});

test("watch() ends a session whose key comes to be on another account too", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  const told: string[] = [];
  access.watch(ada, (why) => told.push(why));
  world.client.account("3").keys.push(makeKeyLine(1));
  await world.until(access.hint("hub", [{ type: "account", accountId: "3" }]));
  expect(told).toEqual(["this key belongs to more than one account, so it does not say who you are"]);
});

test("ownerOf() is settled by asking again when a key moved from one account to another", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  world.client.account("1").keys = [];
  world.client.account("3").keys.push(makeKeyLine(1));
  await world.until(access.hint("hub", [{ type: "account", accountId: "3" }]));
  expect(access.ownerOf(makeKey(1))).toMatchObject({ type: "account", account: { login: "eve" } });
});

test("account() keeps its number through a new name, and a name registered anew is another account", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  world.client.account("1").login = "ada-l";
  world.client.addAccount("9", "ada", [9]);
  await world.until(access.hint("hub", [{ type: "account", accountId: "1" }]));
  expect(access.account({ forge: "hub", id: "1" })?.login).toBe("ada-l");
  await expect(world.until(access.decide(ada, never))).resolves.toMatchObject({ allowed: true });
  await world.until(access.discover(makeKey(9), [{ forge: "hub", id: "10" }], never));
  expect(access.ownerOf(makeKey(9))).toBeUndefined();
});

test("repository() keeps its number through a new name", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  world.client.repository("10").name = "store";
  await world.until(access.hint("hub", [{ type: "repository", repositoryId: "10" }]));
  expect(access.named("shop")).toEqual([]);
  expect(access.named("store").map(({ id }) => id)).toEqual(["10"]);
});

test("openAccess() changes nothing when a list fails", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  world.client.failure = (question) => (question.startsWith("list") ? "forge.unreached" : undefined);
  await world.until(access.hint("hub", [{ type: "everything" }, { type: "repository", repositoryId: "10" }]));
  await world.clock.advance(700_000);
  expect([...access.repositories()]).toHaveLength(2);
  await expect(world.until(access.decide(ada, never))).resolves.toMatchObject({ allowed: true });
});

test("watch() ends a session whose person a complete list leaves out", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  const told: string[] = [];
  access.watch(ada, (why) => told.push(why));
  world.client.repository("10").roles.delete("1");
  await world.until(access.hint("hub", [{ type: "repository", repositoryId: "10" }]));
  expect(told).toEqual(["ada is no collaborator of acme/shop"]);
});

test("watch() calls back by itself when the session was refused before it was watched, and not once it is stopped", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  const told: string[] = [];
  access.watch(subjectOf("3", 3, "10"), (why) => told.push(why));
  access.watch(subjectOf("3", 3, "10"), (why) => told.push(why))();
  expect(told).toEqual([]);
  await world.clock.advance(0);
  expect(told).toHaveLength(1);
});

test("watch() lets a session go on through an outage for the grace time, then ends it with that reason", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  const told: string[] = [];
  access.watch(ada, (why) => told.push(why));
  world.client.failure = "forge.unreached";
  await world.clock.advance(3_575_000);
  expect(told).toEqual([]);
  await world.clock.advance(30_000);
  expect(told).toEqual(["hub could not be asked whether ada may use acme/shop, and its last answer is too old"]);
});

test("watch() polls each fact once for many sessions, and a repository's list instead of many roles", async () => {
  await using world = makeWorld();
  for (let id = 100; id < 140; id += 1) {
    world.client.addAccount(String(id), `p${id}`, [id]);
    world.client.repository("10").roles.set(String(id), "write");
  }
  const access = await world.openKnowing();
  const subjects = Array.from({ length: 40 }, (_, index) => subjectOf(String(100 + index), 100 + index, "10"));
  await world.until(Promise.all(subjects.map((subject) => access.decide(subject, never))));
  for (const subject of [...subjects, ...subjects]) access.watch(subject, () => undefined);
  await world.clock.advance(2_000);
  world.client.asked.length = 0;
  await world.clock.advance(30_000);
  const live = world.client.asked.filter(({ priority }) => priority === "live");
  expect(live.filter(({ question }) => question === "readRole")).toEqual([]);
  expect(live.filter(({ question }) => question === "listCollaborators").length).toBeLessThanOrEqual(2);
  expect(live.filter(({ question }) => question === "listKeys").length).toBeLessThanOrEqual(80);
  expect(live.filter(({ question }) => question === "listKeys").length).toBeGreaterThanOrEqual(40);
});

test("hint() ends live sessions at once when somebody left a team, and doubts what memory says of everybody else", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  const eve = subjectOf("3", 3, "11");
  await world.until(Promise.all([access.decide(ada, never), access.decide(eve, never)]));
  const told: string[] = [];
  access.watch(ada, (why) => told.push(why));
  world.client.repository("10").roles.delete("1");
  world.client.repository("11").roles.delete("3");
  const hintedAt = world.clock.now();
  await world.until(access.hint("hub", [{ type: "everything" }]));
  expect(told).toEqual(["ada is no collaborator of acme/shop"]);
  await expect(world.until(access.decide(eve, never))).resolves.toMatchObject({ allowed: false, type: "no" });
  expect(world.clock.now() - hintedAt).toBeLessThan(2_000);
});

// Law: "cut … by webhook in under 2 s from its arrival". Only the whole list of collaborators was asked, which may be long, or
// change each time that it is read.
test("hint() of a repository asks about those who are in by themselves, whether or not its list can be read", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  const told: string[] = [];
  access.watch(ada, (why) => told.push(why));
  world.client.failure = (question) => (question === "listCollaborators" ? "forge.unreached" : undefined);
  world.client.delayMs = (question) => (question === "listCollaborators" ? 10_000 : 300);
  world.client.repository("10").roles.delete("1");
  void access.hint("hub", [{ type: "repository", repositoryId: "10" }]);
  await world.clock.advance(1_000);
  expect(told).toEqual(["ada is no collaborator of acme/shop"]);
});

test("hint() of a repository that hundreds are in asks for its list, and about few of them one by one", async () => {
  await using world = makeWorld();
  const crowd = Array.from({ length: 300 }, (_, at) => String(1_000 + at));
  for (const id of crowd) {
    world.client.addAccount(id, `p${id}`, [Number(id)]);
    world.client.repository("10").roles.set(id, "write");
  }
  const access = await world.openKnowing();
  await world.until(Promise.all(crowd.map((id) => access.decide(subjectOf(id, Number(id), "10"), never))));
  const told: string[] = [];
  for (const id of crowd) access.watch(subjectOf(id, Number(id), "10"), (why) => told.push(why));
  world.client.delayMs = 300;
  world.client.asked.length = 0;
  for (const id of crowd.slice(0, 10)) world.client.repository("10").roles.delete(id);
  world.client.repository("10").roles.delete("1299");
  void access.hint("hub", [{ type: "repository", repositoryId: "10" }]);
  await world.clock.advance(1_900);
  expect(told).toHaveLength(11);
  expect(world.client.countOf("readRole")).toBeLessThanOrEqual(20);
});

test("watch() asks about people by themselves when the list that would cost less cannot be read", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  world.client.repository("10").roles.set("3", "write");
  const eve = subjectOf("3", 3, "10");
  const told: string[] = [];
  for (const subject of [ada, eve]) {
    await world.until(access.decide(subject, never));
    access.watch(subject, (why) => told.push(why));
  }
  await world.clock.advance(30_000);
  world.client.failure = (question) => (question === "listCollaborators" ? "forge.unreached" : undefined);
  world.client.repository("10").roles.delete("1");
  await world.clock.advance(30_000);
  expect(told).toEqual(["ada is no collaborator of acme/shop"]);
});

test("watch() finds within the poll interval that somebody in the lobby is suspended whose keys are listed still", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  const lobby = subjectOf("1", 1);
  await world.until(access.decide(lobby, never));
  const told: string[] = [];
  access.watch(lobby, (why) => told.push(why));
  await world.clock.advance(10_000);
  world.client.asked.length = 0;
  world.client.account("1").isSuspended = true;
  world.client.listsKeysOfSuspended = true;
  await world.clock.advance(30_000);
  expect(told).toEqual(["the account ada is suspended at hub"]);
  expect(world.client.countOf("readAccount")).toBe(1);
});

test("hint() asks again for something that was under way when the hint came", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  await world.clock.advance(31_000);
  const told: string[] = [];
  access.watch(ada, (why) => told.push(why));
  world.client.delayMs = 500;
  const deciding = access.decide(ada, never);
  world.client.repository("10").roles.delete("1");
  const hinting = access.hint("hub", [{ type: "role", accountId: "1", repositoryId: "10" }]);
  await world.until(Promise.all([deciding, hinting]));
  expect(told).toEqual(["ada is no collaborator of acme/shop"]);
  expect(access.judge(ada)).toMatchObject({ allowed: false });
});

test("decide() relies on no answer that was asked for before a hint, though it comes after it", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  await world.clock.advance(31_000);
  world.client.delayMs = 500;
  const before = access.decide(ada, never);
  await world.clock.advance(100);
  world.client.repository("10").roles.delete("1");
  void access.hint("hub", [{ type: "everything" }]);
  await world.clock.advance(100);
  await expect(world.until(access.decide(ada, never))).resolves.toMatchObject({ allowed: false, type: "no" });
  await before;
});

test("hint() does bounded work for a flood of hints", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  access.watch(ada, () => undefined);
  world.client.asked.length = 0;
  for (let second = 0; second < 10; second += 1) {
    for (let count = 0; count < 1_000; count += 1) {
      void access.hint("hub", [{ type: "everything" }, { type: "role", accountId: "1", repositoryId: "10" }]);
    }
    await world.clock.advance(1_000);
  }
  expect(world.client.countOf("listRepositories")).toBeLessThanOrEqual(2);
  expect(world.client.countOf("readRole")).toBeLessThanOrEqual(12);
  expect(world.client.asked.length).toBeLessThan(60);
});

test("hint() never rejects, and knows nothing of forges and accounts that are not known", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  world.client.failure = "forge.refused";
  await world.until(
    access.hint("hub", [
      { type: "account", accountId: "1" },
      { type: "account", accountId: "777" },
    ]),
  );
  await world.until(access.hint("other", [{ type: "everything" }]));
  expect(access.health()).toMatchObject([{ isReached: false }]);
});

test("discover() finds a new collaborator, and a known one with a new key", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.clock.advance(6_000);
  world.client.addAccount("4", "dan", [4]);
  world.client.repository("10").roles.set("4", "write");
  const shop = { forge: "hub", id: "10" };
  await expect(world.until(access.discover(makeKey(4), [shop], never))).resolves.toMatchObject({
    account: { login: "dan" },
  });
  world.client.account("1").keys.push(makeKeyLine(5));
  await world.clock.advance(6_000);
  await expect(world.until(access.discover(makeKey(5), [shop], never))).resolves.toMatchObject({
    account: { login: "ada" },
  });
});

test("discover() looks at a repository once a second for however many, and not for longer than 2 s", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.clock.advance(6_000);
  world.client.asked.length = 0;
  const shop = { forge: "hub", id: "10" };
  const crowd = Array.from({ length: 100 }, (_, at) => access.discover(makeKey(1_000 + at), [shop], never));
  await expect(world.until(Promise.all(crowd))).resolves.toEqual(crowd.map(() => undefined));
  expect(world.client.asked.length).toBeLessThanOrEqual(3);
  // Who comes right behind them has another look, a second later: they may have been added since.
  const lookedAt = world.clock.now();
  world.client.asked.length = 0;
  await expect(world.until(access.discover(makeKey(1_200), [shop], never))).resolves.toBeUndefined();
  expect(world.client.asked.length).toBeGreaterThan(0);
  expect(world.clock.now() - lookedAt).toBeGreaterThanOrEqual(900);
  await world.clock.advance(6_000);
  world.client.delayMs = 20_000;
  const begunAt = world.clock.now();
  await expect(world.until(access.discover(makeKey(2_000), [shop], never))).resolves.toBeUndefined();
  expect(world.clock.now() - begunAt).toBeLessThan(2_200);
});

test("discover() asks no more than so much in a minute, however many repositories strangers name", async () => {
  await using world = makeWorld();
  for (let id = 100; id < 1_000; id += 1) world.client.addRepository(String(id), `r${id}`, { 1: "write" });
  const access = await world.openKnowing();
  await world.clock.advance(60_000);
  world.client.asked.length = 0;
  for (let id = 100; id < 1_000; id += 1) void access.discover(makeKey(id), [{ forge: "hub", id: String(id) }], never);
  await world.clock.advance(0);
  expect(world.client.asked.filter(({ priority }) => priority === "live").length).toBeLessThanOrEqual(20);
  for (let id = 100; id < 1_000; id += 1) {
    void access.discover(makeKey(id), [{ forge: "hub", id: String(id) }], never);
    await world.clock.advance(10);
  }
  expect(world.client.asked.filter(({ priority }) => priority === "live").length).toBeLessThanOrEqual(240);
});

test("openAccess() serves what the store knows at once, and counts the grace time from when it was verified", async () => {
  await using world = makeWorld();
  const before = await world.openKnowing();
  await world.until(before.decide(ada, never));
  await world.until(before.close());
  world.client.failure = "forge.unreached";
  await world.clock.advance(3_000_000);
  const access = await world.open();
  expect(access.ownerOf(makeKey(1))).toMatchObject({ account: { login: "ada" } });
  await expect(world.until(access.decide(ada, never))).resolves.toMatchObject({ allowed: true, isStale: true });
  await world.clock.advance(600_001);
  await expect(world.until(access.decide(ada, never))).resolves.toMatchObject({ allowed: false, type: "unverified" });
});

test("openAccess() cuts a session when another process learns of the revocation", async () => {
  await using world = makeWorld();
  const one = await world.openKnowing();
  await world.until(one.decide(ada, never));
  const two = await world.open("two");
  const told: string[] = [];
  two.watch(ada, (why) => told.push(why));
  world.client.repository("10").roles.delete("1");
  await world.until(one.hint("hub", [{ type: "role", accountId: "1", repositoryId: "10" }]));
  await world.clock.advance(0);
  expect(told).toEqual(["ada is no collaborator of acme/shop"]);
});

test.each([
  { name: "roles-of", hint: { type: "roles-of", accountId: "1" } as const },
  { name: "everything", hint: { type: "everything" } as const },
])(
  "hint() of $name in one process has another ask for its own live sessions, and rely on nothing older",
  async ({ hint }) => {
    await using world = makeWorld();
    const one = await world.openKnowing();
    await world.until(one.decide(ada, never));
    const two = await world.open("two");
    const told: string[] = [];
    two.watch(ada, (why) => told.push(why));
    await world.clock.advance(0);
    // Only the other process asks about her: the first has nobody of hers, and leaves it for later or to nobody.
    world.client.repository("10").roles.delete("1");
    await world.until(one.hint("hub", [hint]));
    await world.clock.advance(1_000);
    expect(told).toEqual(["ada is no collaborator of acme/shop"]);
  },
);

test("hint() that no other process could be told of is a warning, and asked about here", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  world.knowledge.failure = new Error("Cannot write: the database is away, needs to be there");
  await world.until(access.hint("hub", [{ type: "roles-of", accountId: "1" }]));
  await world.clock.advance(100);
  expect(world.logged.lines.filter(({ event }) => event === "access.hint-untold")).toHaveLength(1);
  world.knowledge.failure = undefined;
});

test("openAccess() refreshes in one process of several, and in the other once the first is gone", async () => {
  await using world = makeWorld();
  const one = await world.openKnowing();
  const two = await world.open("two");
  world.client.asked.length = 0;
  await world.clock.advance(700_000);
  expect(world.client.countOf("listCollaborators")).toBe(2);
  await world.until(one.close());
  await world.clock.advance(700_000);
  expect(world.client.countOf("listCollaborators")).toBe(4);
  expect([...two.repositories()]).toHaveLength(2);
});

test("judge() takes no time from the future for an answer, so that a clock set back extends no grace time", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  world.client.failure = "forge.unreached";
  const told: string[] = [];
  access.watch(ada, (why) => told.push(why));
  world.clock.setBack(7_200_000);
  expect(access.judge(ada)).toMatchObject({ allowed: false, type: "unverified" });
  await world.clock.advance(2_000);
  expect(told).toHaveLength(1);
  world.client.failure = undefined;
  world.client.repository("10").roles.delete("1");
  await expect(world.until(access.decide(ada, never))).resolves.toMatchObject({ allowed: false, type: "no" });
});

test("openAccess() writes nothing while answers stay the same, but now and then that they do", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  access.watch(ada, () => undefined);
  const before = { ...world.knowledge.writeCounts };
  await world.clock.advance(400_000);
  const { writeCounts } = world.knowledge;
  expect(writeCounts.role - before.role).toBe(0);
  expect(writeCounts.account - before.account).toBeLessThanOrEqual(3);
  await world.clock.advance(100_000);
  expect(writeCounts.role + writeCounts.roles - before.role - before.roles).toBeGreaterThan(0);
});

test("openAccess() goes on in memory when the store fails, and writes what it owes later", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.until(access.decide(ada, never));
  world.knowledge.failure = new Error("Cannot write: disk full");
  world.client.repository("10").roles.set("1", "admin");
  await world.clock.advance(31_000);
  await expect(world.until(access.decide(ada, never))).resolves.toMatchObject({ allowed: true, role: "admin" });
  world.knowledge.failure = undefined;
  await world.clock.advance(31_000);
  await world.until(access.decide(ada, never));
  const roles = await world.knowledge.open().findRoles({ forge: "hub", id: "10" });
  expect(roles.find(({ accountId }) => accountId === "1")?.role).toBe("admin");
});

test("listAllowed() names everybody with a sufficient role, with the keys that are theirs alone", async () => {
  await using world = makeWorld();
  world.client.repository("10").roles.set("3", "admin");
  world.client.account("1").keys.push(makeKeyLine(7));
  world.client.account("3").keys.push(makeKeyLine(7));
  const access = await world.openKnowing();
  const shop = { forge: "hub", id: "10" };
  const { accounts, isStale } = await world.until(access.listAllowed(shop, never));
  expect(accounts.map(({ login, role, keys }) => ({ login, role, keys }))).toEqual([
    { login: "ada", role: "write", keys: [makeKey(1)] },
    { login: "eve", role: "admin", keys: [makeKey(3)] },
  ]);
  expect(isStale).toBe(false);
  world.client.repository("10").roles.clear();
  await world.clock.advance(31_000);
  await expect(world.until(access.listAllowed(shop, never))).resolves.toMatchObject({ accounts: [] });
});

test("listAllowed() rejects when nobody can say, and goes by the last good list within the grace time", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  world.client.failure = "forge.unreached";
  await world.clock.advance(60_000);
  const shop = { forge: "hub", id: "10" };
  await expect(world.until(access.listAllowed(shop, never))).resolves.toMatchObject({
    isStale: true,
    accounts: [{ login: "ada" }],
  });
  await world.clock.advance(3_600_000);
  await expect(world.until(access.listAllowed(shop, never))).rejects.toMatchObject({ code: "forge.unreached" });
});

// Law: "A partial answer is no answer." Somebody whose keys were not listed in the 2 s was left out without a word, and a file of
// keys written without them.
test("listAllowed() rejects while somebody's keys are not known, and names everybody once they are", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  await world.clock.advance(60_000);
  world.client.repository("10").roles.set("9", "write");
  world.client.addAccount("9", "zoe", [9]);
  world.client.delayMs = (question) => (question === "listKeys" ? 3_000 : 100);
  const shop = { forge: "hub", id: "10" };
  await expect(world.until(access.listAllowed(shop, never))).rejects.toMatchObject({
    code: "forge.unreached",
    told: "hub has not said which keys 1 of 2 people of acme/shop have",
  });
  await world.clock.advance(2_000);
  const { accounts } = await world.until(access.listAllowed(shop, never));
  expect(accounts.map(({ login, keys }) => [login, keys.length])).toEqual([
    ["ada", 1],
    ["zoe", 1],
  ]);
});

test("close() leaves nothing running", async () => {
  await using world = makeWorld();
  const access = await world.openKnowing();
  world.client.delayMs = 500;
  access.watch(ada, () => undefined);
  const deciding = access.decide(ada, never);
  void access.hint("hub", [{ type: "everything" }]);
  const stop = new AbortController();
  const discovering = access.discover(makeKey(99), [{ forge: "hub", id: "10" }], stop.signal);
  await world.until(access.close());
  await world.until(Promise.allSettled([deciding, discovering]));
  expect(world.clock.pendingCount).toBe(0);
  expect(world.clock.now()).toBeGreaterThan(START_AT);
});
