import { expect, test } from "vitest";
import { AccessWorld, never } from "../../../test/fakes/access-world.ts";
import { makeKey, makeKeyLine } from "../../../test/fakes/fake-forge-client.ts";
import type { Access } from "../../forge/access/access.ts";
import { openDirectory } from "../../forge/directory.ts";
import { readKeys } from "../../forge/settings-keys.ts";
import type { AccessExplanation } from "../../wire/control.ts";
import { checkSettings, type Settings } from "../../wire/settings.ts";
import { type AccessBook, makeAccessBook } from "./access-book.ts";

/** Vera is of the settings alone, Anna is ada there; hub knows ada, bob, eve (reads only) and another who is called vera. */
const SETTINGS = `version: 1
people:
  vera: { keys: ["${makeKeyLine(90)}"] }
  anna: { account: hub/1 }
repositories:
  hello: { url: ./hello }
  secret: { url: ./secret }
grants:
  - { people: [anna], repositories: [secret] }
  - { people: "*", repositories: [hello] }
forges:
  hub: { type: github, url: "https://hub.test", tokenEnv: HUB_TOKEN, organizations: [acme] }
authorizedKeys:
  command: enter {repository} {person} {login}
  users: { shop: acme/shop, hello: hello, api: hub/acme/api, none: acme/none }
`;

interface Opened {
  readonly book: AccessBook;
  readonly world: AccessWorld;
  readonly access: Access;
  readonly settings: Settings;
  readonly explain: (person: string, repository: string) => Promise<AccessExplanation>;
}

async function open(world: AccessWorld): Promise<Opened> {
  world.client.addAccount("1", "ada", [1, 11]).addAccount("2", "bob", [2]).addAccount("3", "eve", [3]);
  world.client.addAccount("4", "Vera", [4]);
  world.client.addRepository("10", "shop", { 1: "admin", 2: "write", 3: "read" });
  world.client.addRepository("11", "api", { 2: "write" }).addRepository("12", "hello", { 4: "write" });
  const settings = checkSettings(SETTINGS, "slipway.yaml");
  const access = await world.openKnowing();
  const directory = await openDirectory({ settings, folder: "/", access });
  const { clock } = world;
  const book = makeAccessBook({ settings, directory, access, clock, readKeys: () => readKeys(settings.people, "/") });
  const explain = async (person: string, repository: string): Promise<AccessExplanation> =>
    world.until(book["/access/explain"]({ person, repository }, never));
  return { book, world, access, settings, explain };
}

test.each([
  [
    "bob",
    "acme/shop",
    { person: { id: "hub.2", login: "bob" }, repository: { id: "hub.10", name: "acme/shop" }, role: "write" },
  ],
  ["hub/BOB", "shop", { person: { id: "hub.2" }, repository: { id: "hub.10" } }],
  ["hub.2", "hub.10", { person: { id: "hub.2" }, repository: { id: "hub.10" } }],
  ["hub/2", "hub/acme/shop", { person: { id: "hub.2" }, repository: { id: "hub.10" } }],
  ["anna", "shop", { person: { id: "anna", login: "anna" }, role: "admin" }],
  ["ada", "shop", { person: { id: "anna", login: "anna" }, role: "admin" }],
])(
  "makeAccessBook() explains why %s may use %s, with the forge's answer and its time",
  async (person, repository, expected) => {
    await using world = new AccessWorld();
    const { explain } = await open(world);
    const answer = await explain(person, repository);
    expect(answer).toMatchObject({ allowed: true, route: "forge", isStale: false, notes: [], ...expected });
    expect(answer.sources.join("\n")).toMatch(/GET \/repositories\/10/);
    expect(Date.parse(answer.verifiedAt ?? "")).toBeLessThanOrEqual(world.clock.now());
  },
);

test("makeAccessBook() explains a no of the forge, a grant, and what no grant gives", async () => {
  await using world = new AccessWorld();
  const { explain } = await open(world);
  expect(await explain("eve", "shop")).toMatchObject({
    allowed: false,
    route: "forge",
    told: "eve may only read acme/shop, and an environment needs the right to write",
  });
  expect(await explain("hub/vera", "shop")).toMatchObject({
    allowed: false,
    told: "Vera is no collaborator of acme/shop",
  });
  expect(await explain("anna", "secret")).toMatchObject({
    allowed: true,
    route: "grant",
  });
  expect((await explain("anna", "secret")).sources[0]).toBe("grants[0] of the settings");
  expect(await explain("bob", "secret")).toMatchObject({ allowed: false, told: "bob has no grant for secret" });
});

test.each([
  ["nobody", "shop", 'no person is known as "nobody"'],
  ["bbo", "shop", 'no person is known as "bbo"; did you mean "bob"?'],
  ["bob", "shpo", 'no repository is known as "shpo"; did you mean "shop"?'],
  ["vera", "shop", '"vera" may be vera (vera) or hub/Vera (hub.4): say which'],
  ["bob", "hello", '"hello" may be hello (hello) or hub/acme/hello (hub.12): say which'],
])("makeAccessBook() says that it cannot tell who or what %s and %s are", async (person, repository, told) => {
  await using world = new AccessWorld();
  const { explain } = await open(world);
  await expect(explain(person, repository)).rejects.toMatchObject({ told });
});

test("makeAccessBook() tells the operator whose keys are shared, and who has none", async () => {
  await using world = new AccessWorld();
  const { explain, access } = await open(world);
  world.client.account("3").keys = [makeKeyLine(2)];
  world.client.account("4").keys = [];
  const hints = ["3", "4"].map((accountId) => ({ type: "account", accountId }) as const);
  await world.until(access.hint("hub", hints));
  expect((await explain("bob", "shop")).notes).toEqual([
    expect.stringMatching(
      /^the key SHA256:\S+ belongs to hub\/(bob and hub\/eve|eve and hub\/bob), and so gets nobody in$/,
    ),
  ]);
  expect((await explain("hub/vera", "shop")).notes).toEqual(["Vera has no key that gets in"]);
});

test("makeAccessBook() says what is stale while the forge is away, and no after the grace time", async () => {
  await using world = new AccessWorld();
  const { explain } = await open(world);
  expect(await explain("bob", "shop")).toMatchObject({ allowed: true, isStale: false });
  world.client.failure = "forge.unreached";
  await world.clock.advance(60_000);
  expect(await explain("bob", "shop")).toMatchObject({ allowed: true, isStale: true });
  await world.clock.advance(3_600_000);
  expect(await explain("bob", "shop")).toMatchObject({ allowed: false, isStale: true });
});

test("makeAccessBook() lists who may use a repository, what somebody may use, and all", async () => {
  await using world = new AccessWorld();
  const { book } = await open(world);
  const list = async (asked: { person?: string; repository?: string }): Promise<string[]> => {
    const rows = await world.until(book["/access/list"](asked, never));
    return rows.map(({ login, repository, route, role, keyCount }) =>
      [login, repository, role ?? route, keyCount].join(" "),
    );
  };
  expect(await list({ repository: "acme/shop" })).toEqual(["anna acme/shop admin 2", "bob acme/shop write 1"]);
  expect(await list({ person: "bob" })).toEqual(["bob acme/shop write 1", "bob acme/api write 1"]);
  expect(await list({})).toEqual([
    "vera hello grant 1",
    "anna hello grant 2",
    "anna secret grant 2",
    "anna acme/shop admin 2",
    "bob acme/shop write 1",
    "bob acme/api write 1",
    "Vera acme/hello write 1",
  ]);
});

/** Who is let in as a Unix user, and by which of their keys. */
async function keysFor({ book, world }: Opened, user: string): Promise<string[]> {
  const answer = await world.until(book["/authorized-keys"]({ user }, never));
  expect(answer.lines).toHaveLength(answer.keys.length);
  return answer.keys.map(({ login, key }) => `${login} ${Buffer.from(key, "base64").readUInt32BE(19)}`).toSorted();
}

test("makeAccessBook() lists the keys of just those who may use the repository that a Unix user stands for", async () => {
  await using world = new AccessWorld();
  const opened = await open(world);
  expect(await keysFor(opened, "shop")).toEqual(["anna 1", "anna 11", "bob 2"]);
  expect(await keysFor(opened, "api")).toEqual(["bob 2"]);
  expect(await keysFor(opened, "hello")).toEqual(["anna 1", "anna 11", "vera 90"]);
  await expect(keysFor(opened, "shp")).rejects.toMatchObject({
    told: 'no user "shp" is under authorizedKeys in the settings; did you mean "shop"?',
  });
  await expect(keysFor(opened, "none")).rejects.toMatchObject({ code: "access.unknown" });
});

test("makeAccessBook() has lines that say who comes and where to, and end with the grace time in files", async () => {
  await using world = new AccessWorld();
  const { book } = await open(world);
  const answer = await world.until(book["/authorized-keys"]({ user: "api" }, never));
  const routing =
    'environment="SLIPWAY_PERSON=hub.2",environment="SLIPWAY_REPOSITORY=acme/api",command="enter acme/api hub.2 bob"';
  expect(answer.lines).toEqual([`restrict,pty,${routing} ssh-ed25519 ${makeKey(2)} bob`]);
  expect(answer.fileLines[0]).toMatch(/^restrict,pty,expiry-time="20\d{12}Z",environment=/);
  const heldMs = Date.parse(answer.expiresAt ?? "") - world.clock.now();
  expect(heldMs).toBeGreaterThan(3_000_000);
  expect(heldMs).toBeLessThanOrEqual(3_600_000 + 90_000);
});

test.each([
  ["a collaborator is removed", (world: AccessWorld) => world.client.repository("10").roles.delete("2")],
  ["a role is lessened", (world: AccessWorld) => world.client.repository("10").roles.set("2", "read")],
  ["a key is deleted", (world: AccessWorld) => (world.client.account("2").keys = [])],
  ["an account is suspended", (world: AccessWorld) => (world.client.account("2").isSuspended = true)],
])("makeAccessBook() leaves somebody out of the lines within a poll after %s", async (_, change) => {
  await using world = new AccessWorld();
  const opened = await open(world);
  expect(await keysFor(opened, "shop")).toContain("bob 2");
  change(world);
  await world.clock.advance(world.settings.pollMs * 11);
  expect(await keysFor(opened, "shop")).not.toContain("bob 2");
});

test("makeAccessBook() leaves out a key that turns up on another account, once that is known", async () => {
  await using world = new AccessWorld();
  const opened = await open(world);
  expect(await keysFor(opened, "shop")).toContain("bob 2");
  world.client.account("3").keys.push(makeKeyLine(2));
  await world.until(opened.access.hint("hub", [{ type: "account", accountId: "3" }]));
  expect(await keysFor(opened, "shop")).toEqual(["anna 1", "anna 11"]);
});

test("makeAccessBook() keeps everybody in the lines while the forge is away, within the grace time and no longer", async () => {
  await using world = new AccessWorld();
  const opened = await open(world);
  const before = await keysFor(opened, "shop");
  world.client.failure = "forge.unreached";
  await world.clock.advance(3_000_000);
  expect(await keysFor(opened, "shop")).toEqual(before);
  await world.clock.advance(700_000);
  await expect(keysFor(opened, "shop")).rejects.toMatchObject({ code: "forge.unreached" });
});
