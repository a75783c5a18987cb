import { afterEach, expect, test } from "vitest";
import { GiteaServer } from "../../../test/forges/gitea/gitea-server.ts";
import {
  GiteaWorld,
  type Mode,
  type WorldOrganization,
  type WorldRepository,
  type WorldUser,
} from "../../../test/forges/gitea/world.ts";
import { mustRun, plainEnv } from "../../../test/harness/program.ts";
import { makeClock } from "../../base/clock.ts";
import { makeLog } from "../../base/log.ts";
import type { ForgeSettings } from "../../wire/forge-settings.ts";
import type { ForgeRepository, ForgeRole } from "../../wire/forge.ts";
import type { Ask, ForgeClient } from "../forge-client.ts";
import { makeGitea } from "./gitea.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKJqtCiq/PjG3vJ5X9v4HY4K0mC1d3kW7Xq3f9ZqJ8sB";

interface Stage {
  readonly world: GiteaWorld;
  readonly server: GiteaServer;
  readonly acme: WorldOrganization;
  readonly shop: WorldRepository;
  readonly ada: WorldUser;
  /** The token's account, a site administrator. */
  readonly robot: WorldUser;
  readonly client: ForgeClient;
  readonly clientWith: (settings: Partial<ForgeSettings>, token?: string) => ForgeClient;
}

const open: GiteaServer[] = [];

afterEach(async () => {
  for (const server of open.splice(0)) await server[Symbol.asyncDispose]();
});

/** An organization `acme` with a private repository `shop`, to which ada may write. */
async function stage(): Promise<Stage> {
  const world = new GiteaWorld();
  const clock = makeClock();
  const server = await GiteaServer.open(world, clock);
  open.push(server);
  const robot = world.addUser("robot", { isAdmin: true });
  const ada = world.addUser("ada", { fullName: "Ada Lovelace" });
  const acme = world.addOrganization("acme", world.addUser("boss"));
  const shop = world.addRepository("shop", acme);
  shop.collaborators.set(ada.id, "write");
  world.addToken("gitea-token-good", robot);
  const clientWith: Stage["clientWith"] = (settings, token = "gitea-token-good") =>
    makeGitea({
      settings: { ...settingsFor(server), ...settings },
      secrets: { credential: token, webhook: "hush" },
      clock,
      log: makeLog("silent"),
      cache: { read: async () => undefined, write: async () => {} },
    });
  return { world, server, acme, shop, ada, robot, client: clientWith({}), clientWith };
}

function settingsFor(server: GiteaServer): ForgeSettings {
  return {
    name: "tea",
    type: "gitea",
    url: server.url,
    apiUrl: server.apiUrl,
    credential: { type: "token", token: { env: "TOKEN" } },
    organizations: ["acme"],
    repositories: [],
    minimumRole: "write",
    graceMs: 3_600_000,
    pollMs: 30_000,
  };
}

function ask(): Ask {
  return { priority: "login", signal: new AbortController().signal };
}

/** The repository as the client knows it: by its number, under the name of the stage. */
function known({ server, shop }: Pick<Stage, "server" | "shop">): ForgeRepository {
  const cloneUrl = `${server.url}/acme/shop.git`;
  return { id: String(shop.id), owner: "acme", name: "shop", cloneUrl, isPrivate: true, isArchived: false };
}

function nameOf({ id, login }: WorldUser): { id: string; login: string } {
  return { id: String(id), login };
}

/** The role of each by both ways to ask, which have to agree. */
async function rolesOf(at: Stage, ...users: readonly WorldUser[]): Promise<ForgeRole[]> {
  const { value: list } = await at.client.listCollaborators(known(at), ask());
  const roles: ForgeRole[] = [];
  for (const user of users) {
    const { value } = await at.client.readRole(known(at), nameOf(user), ask());
    expect(list?.find(({ id }) => id === String(user.id))?.role ?? "none").toBe(value);
    roles.push(value);
  }
  return roles;
}

test("listRepositories() lists what organizations and users have, beyond one page, and single ones", async () => {
  const { world, server, acme, shop, ada, clientWith } = await stage();
  for (let count = 0; count < 120; count += 1) world.addRepository(`r${count}`, acme);
  const notes = world.addRepository("notes", ada, { isPrivate: false, isArchived: true });
  const other = world.addOrganization("other", ada);
  const lathe = world.addRepository("lathe", other);
  world.addRepository("not-wanted", other);
  const client = clientWith({ organizations: ["acme", "ada"], repositories: ["Other/Lathe", "other/never"] });
  const { value } = await client.listRepositories(ask());
  expect(value).toHaveLength(123);
  const byId = (repository: WorldRepository) => value.find(({ id }) => id === String(repository.id));
  expect(byId(shop)).toEqual({
    id: String(shop.id),
    owner: "acme",
    name: "shop",
    cloneUrl: `${server.url}/acme/shop.git`,
    isPrivate: true,
    isArchived: false,
  });
  expect(byId(notes)).toMatchObject({ owner: "ada", isPrivate: false, isArchived: true });
  expect(byId(lathe)).toMatchObject({ owner: "other", name: "lathe" });
});

test("listRepositories() goes on after pages that the forge made shorter, or left empty for what is not shown", async () => {
  const { world, server, acme, clientWith } = await stage();
  const helper = world.addUser("helper");
  world.addToken("gitea-token-small", helper);
  for (let count = 0; count < 150; count += 1) world.addRepository(`r${count}`, acme);
  const last = world.addRepository("last", acme);
  last.collaborators.set(helper.id, "admin");
  const listed = async () => (await clientWith({}, "gitea-token-small").listRepositories(ask())).value;
  expect((await listed()).map(({ name }) => name)).toEqual(["last"]);
  server.maxItems = 7;
  expect((await listed()).map(({ name }) => name)).toEqual(["last"]);
  expect((await clientWith({}).listRepositories(ask())).value).toHaveLength(152);
});

test("listRepositories() rejects when an organization is not shown, since private ones are hidden", async () => {
  const { clientWith } = await stage();
  const listing = clientWith({ organizations: ["acme", "hidden"] }).listRepositories(ask());
  await expect(listing).rejects.toMatchObject({
    code: "forge.refused",
    message: expect.stringContaining("hidden") as string,
  });
});

test("listRepositories() leaves out a single repository whose path leads to one that has moved away", async () => {
  const { world, shop, ada, clientWith } = await stage();
  const client = clientWith({ organizations: [], repositories: ["acme/shop"] });
  expect((await client.listRepositories(ask())).value).toHaveLength(1);
  world.transfer(shop, ada);
  expect((await client.listRepositories(ask())).value).toEqual([]);
});

test("a single repository that is renamed stays connected, until another one takes its path", async () => {
  const at = await stage();
  const { world, acme, shop, clientWith } = at;
  const client = clientWith({ organizations: [], repositories: ["acme/shop"] });
  world.renameRepository(shop, "store");
  expect((await client.listRepositories(ask())).value).toMatchObject([{ id: String(shop.id), name: "store" }]);
  expect((await client.readRepository(known(at), ask())).value).toMatchObject({ name: "store" });
  const squatter = world.addRepository("shop", acme);
  expect((await client.listRepositories(ask())).value).toMatchObject([{ id: String(squatter.id), name: "shop" }]);
  expect((await client.readRepository(known(at), ask())).value).toBeUndefined();
});

test("readRepository() follows renaming and archiving, and loses what is transferred or removed", async () => {
  const at = await stage();
  const { world, acme, shop, ada, client } = at;
  const read = async () => (await client.readRepository(known(at), ask())).value;
  world.renameRepository(shop, "store");
  const squatter = world.addRepository("shop", acme);
  expect(await read()).toMatchObject({ id: String(shop.id), name: "store", isArchived: false });
  shop.isArchived = true;
  expect(await read()).toMatchObject({ isArchived: true });
  world.transfer(shop, ada);
  expect(await read()).toBeUndefined();
  world.transfer(shop, acme);
  expect(await read()).toMatchObject({ owner: "acme" });
  world.removeRepository(shop);
  expect(await read()).toBeUndefined();
  expect(squatter.id).not.toBe(shop.id);
});

test.each<[mode: Mode, role: ForgeRole]>([
  ["read", "read"],
  ["write", "write"],
  ["admin", "admin"],
])("readRole() and listCollaborators() take a direct collaborator and a team with %s for %s", async (mode, role) => {
  const at = await stage();
  const { world, acme, shop } = at;
  const [direct, teamed, stranger] = [world.addUser("direct"), world.addUser("teamed"), world.addUser("stranger")];
  shop.collaborators.set(direct.id, mode);
  const team = world.addTeam(acme, "devs", mode);
  team.members.add(teamed.id);
  team.repositories.add(shop.id);
  world.addTeam(acme, "elsewhere", "admin").members.add(stranger.id);
  expect(await rolesOf(at, direct, teamed, stranger)).toEqual([role, role, "none"]);
});

test("readRole() and listCollaborators() take what a team may do with code, not with issues", async () => {
  const at = await stage();
  const { world, acme, shop } = at;
  const users = ["triager", "coder", "both"].map((login) => world.addUser(login));
  const triage = world.addTeam(acme, "triage", "write", { "repo.issues": "write" });
  const code = world.addTeam(acme, "code", "none", { "repo.code": "write", "repo.issues": "read" });
  triage.members.add(users[0]!.id).add(users[2]!.id);
  code.members.add(users[1]!.id).add(users[2]!.id);
  for (const team of [triage, code]) team.repositories.add(shop.id);
  expect(await rolesOf(at, ...users)).toEqual(["none", "write", "write"]);
});

test("readRole() and listCollaborators() give owners admin, and no role to who may only read what everybody may", async () => {
  const at = await stage();
  const { world, acme, shop, robot } = at;
  const boss = [...world.users.values()].find(({ login }) => login === "boss")!;
  const stranger = world.addUser("stranger");
  shop.isPrivate = false;
  // The site administrator owns everything by the forge's word, and is nobody's collaborator.
  expect(await rolesOf(at, boss, stranger, robot)).toEqual(["admin", "none", "none"]);
  world.transfer(shop, stranger);
  expect(await rolesOf(at, boss, stranger, robot)).toEqual(["none", "admin", "none"]);
  expect(acme.teams).toHaveLength(1);
});

test("listCollaborators() lists everybody by every route once, beyond one page", async () => {
  const at = await stage();
  const { world, acme, shop, ada } = at;
  const team = world.addTeam(acme, "devs", "admin");
  team.repositories.add(shop.id);
  team.members.add(ada.id);
  for (let count = 0; count < 105; count += 1) team.members.add(world.addUser(`dev${count}`).id);
  for (let count = 0; count < 60; count += 1) shop.collaborators.set(world.addUser(`guest${count}`).id, "read");
  const { value, source } = await at.client.listCollaborators(known(at), ask());
  expect(value).toHaveLength(167);
  expect(value?.find(({ login }) => login === "ada")?.role).toBe("admin");
  expect(source).toBe("GET /repos/acme/shop/collaborators");
});

test("readRole() goes by the number: not the one who took over a name, and the one who has another now", async () => {
  const at = await stage();
  const { world, ada, client } = at;
  const asked = { id: String(ada.id), login: "ada" };
  ada.login = "countess";
  const other = world.addUser("ada");
  expect((await client.readRole(known(at), asked, ask())).value).toBe("write");
  expect((await client.readRole(known(at), nameOf(other), ask())).value).toBe("none");
  world.removeUser(ada);
  expect((await client.readRole(known(at), asked, ask())).value).toBe("none");
});

test("readRole() knows the same of an account that is private, by a token that is not shown it", async () => {
  const at = await stage();
  const { world, acme, ada, clientWith } = at;
  const helper = world.addUser("helper");
  acme.teams[0]!.members.add(helper.id);
  world.addToken("gitea-token-small", helper);
  const client = clientWith({}, "gitea-token-small");
  ada.visibility = "private";
  const asked = { id: String(ada.id), login: "ada" };
  expect((await client.readRole(known(at), asked, ask())).value).toBe("write");
  ada.login = "countess";
  world.addUser("ada");
  expect((await client.readRole(known(at), asked, ask())).value).toBe("none");
});

test("readRole() and listCollaborators() are refused, and no answer, where teams are not shown to the token", async () => {
  const at = await stage();
  const { world, acme, shop, ada, clientWith } = at;
  const helper = world.addUser("helper");
  shop.collaborators.set(helper.id, "admin");
  world.addToken("gitea-token-small", helper);
  const client = clientWith({}, "gitea-token-small");
  const refused = { code: "forge.refused", message: expect.stringContaining("owner of the organization") as string };
  await expect(client.listCollaborators(known(at), ask())).rejects.toMatchObject(refused);
  await expect(client.readRole(known(at), nameOf(ada), ask())).rejects.toMatchObject(refused);
  acme.teams[0]!.members.add(helper.id);
  expect((await client.readRole(known(at), nameOf(ada), ask())).value).toBe("write");
});

test("listCollaborators() and readRole() know no repository that is gone, whatever took its name", async () => {
  const at = await stage();
  const { world, acme, shop, ada, client } = at;
  world.removeRepository(shop);
  world.addRepository("shop", acme).collaborators.set(ada.id, "admin");
  expect((await client.listCollaborators(known(at), ask())).value).toBeUndefined();
  expect((await client.readRole(known(at), nameOf(ada), ask())).value).toBe("none");
});

test("readAccount() tells name and state by number, in any name", async () => {
  const { world, ada, client } = await stage();
  const read = async () => (await client.readAccount(String(ada.id), ask())).value;
  expect(await read()).toEqual({
    id: String(ada.id),
    login: "ada",
    fullName: "Ada Lovelace",
    email: "ada@example.com",
    isSuspended: false,
  });
  ada.login = "countess";
  world.addUser("ada");
  expect(await read()).toMatchObject({ login: "countess", isSuspended: false });
  ada.mayNotLogIn = true;
  expect(await read()).toMatchObject({ isSuspended: true });
  ada.mayNotLogIn = false;
  ada.isActive = false;
  expect(await read()).toMatchObject({ isSuspended: true });
  world.removeUser(ada);
  expect(await read()).toBeUndefined();
});

test("readAccount() takes nobody for suspended because the token is not told who is active", async () => {
  const { world, server, ada, clientWith } = await stage();
  world.addToken("gitea-token-small", world.addUser("helper"));
  const client = clientWith({}, "gitea-token-small");
  for (let count = 0; count < 3; count += 1) {
    expect((await client.readAccount(String(ada.id), ask())).value).toMatchObject({ isSuspended: false });
  }
  expect(server.http.countRequests().get("GET /user")).toBe(1);
});

test("listKeys() lists keys of the account alone, beyond one page, and none of the one who took over its name", async () => {
  const { world, ada, client, clientWith } = await stage();
  world.addToken("gitea-token-small", world.addUser("helper"));
  world.addKey(ada, KEY);
  world.addKey(ada, `${KEY} deploy`, "deploy");
  ada.login = "countess";
  world.addKey(world.addUser("ada"), `${KEY} stranger`);
  const asked = { id: String(ada.id), login: "ada" };
  expect((await client.listKeys(asked, ask())).value).toEqual([KEY]);
  for (let count = 0; count < 110; count += 1) world.addKey(ada, `${KEY} ${count}`);
  expect((await client.listKeys(asked, ask())).value).toHaveLength(111);
  expect((await clientWith({}, "gitea-token-small").listKeys(asked, ask())).value).toHaveLength(112);
  ada.keys.splice(0);
  expect((await client.listKeys(asked, ask())).value).toEqual([]);
  world.removeUser(ada);
  expect((await client.listKeys(asked, ask())).value).toBeUndefined();
});

test("listKeys() has no keys of an account that may not log in, though they go on being listed", async () => {
  const { world, ada, client, clientWith } = await stage();
  world.addToken("gitea-token-small", world.addUser("helper"));
  world.addKey(ada, KEY);
  const asked = { id: String(ada.id), login: "ada" };
  ada.mayNotLogIn = true;
  expect((await client.listKeys(asked, ask())).value).toBeUndefined();
  expect((await clientWith({}, "gitea-token-small").listKeys(asked, ask())).value).toEqual([KEY]);
  ada.mayNotLogIn = false;
  expect((await client.listKeys(asked, ask())).value).toEqual([KEY]);
});

test("listKeys() has no answer when the name changes hands while it asks", async () => {
  const { world, server, ada, clientWith } = await stage();
  world.addToken("gitea-token-small", world.addUser("helper"));
  const asked = { id: String(ada.id), login: "ada" };
  // The keys are asked for under a name that is another's by then.
  const swap = () => {
    ada.login = "countess";
    world.addKey(world.addUser("ada"), `${KEY} stranger`);
    return true;
  };
  await using _ongoing = await server.http.trouble(
    { type: "slow", ms: 0 },
    { template: "/users/{username}/keys", when: swap },
  );
  const listing = clientWith({}, "gitea-token-small").listKeys(asked, ask());
  await expect(listing).rejects.toMatchObject({
    code: "forge.unreached",
    message: expect.stringContaining("changed hands") as string,
  });
  expect(_ongoing.hitCount).toBe(1);
});

const CALLS: readonly [name: string, call: (client: ForgeClient, known: ForgeRepository) => Promise<unknown>][] = [
  ["listRepositories", (client) => client.listRepositories(ask())],
  ["readRepository", (client, known) => client.readRepository(known, ask())],
  ["listCollaborators", (client, known) => client.listCollaborators(known, ask())],
  ["readRole", (client, known) => client.readRole(known, { id: "2", login: "ada" }, ask())],
  ["readAccount", (client) => client.readAccount("2", ask())],
  ["listKeys", (client) => client.listKeys({ id: "2", login: "ada" }, ask())],
];

test.each(CALLS)("%s() rejects with forge.unreached, whatever is wrong with the forge", async (_, call) => {
  const at = await stage();
  for (const trouble of [
    { type: "refuse" },
    { type: "reset" },
    { type: "truncated" },
    { type: "garbage" },
    { type: "status", status: 500, body: "json" },
    { type: "status", status: 502, body: "html" },
  ] as const) {
    await using ongoing = await at.server.http.trouble(trouble);
    await expect(call(at.client, known(at))).rejects.toMatchObject({ code: "forge.unreached" });
    expect(ongoing.hitCount > 0 || trouble.type === "refuse").toBe(true);
  }
  await expect(call(at.client, known(at))).resolves.toMatchObject({ askedAt: expect.any(Number) as number });
});

test.each(CALLS)("%s() rejects with forge.refused, naming the scope that the token lacks", async (_, call) => {
  const at = await stage();
  at.world.addToken("gitea-token-none", at.robot, ["read:issue"]);
  await expect(call(at.clientWith({}, "gitea-token-none"), known(at))).rejects.toMatchObject({
    code: "forge.refused",
    message: expect.stringMatching(/required=\[read:(user|organization|repository)\]/) as string,
  });
  const bad = call(at.clientWith({}, "gitea-token-unknown"), known(at));
  await expect(bad).rejects.toMatchObject({ code: "forge.refused", message: expect.stringContaining("401") as string });
  await expect(bad).rejects.not.toMatchObject({ message: expect.stringContaining("gitea-token") as string });
});

test.each([
  "/repos/{owner}/{repo}/collaborators",
  "/repos/{owner}/{repo}/teams",
  "/teams/{id}/members",
  "/repos/{owner}/{repo}/collaborators/{collaborator}/permission",
])("listCollaborators() has no answer when %s fails in the middle", async (template) => {
  const at = await stage();
  for (let count = 0; count < 60; count += 1) at.shop.collaborators.set(at.world.addUser(`guest${count}`).id, "read");
  for (let count = 0; count < 60; count += 1) at.acme.teams[0]!.members.add(at.world.addUser(`owner${count}`).id);
  const page = template.endsWith("s") && !template.endsWith("teams") ? { page: 2 } : {};
  await using ongoing = await at.server.http.trouble(
    { type: "status", status: 500, body: "json" },
    { template, ...page },
  );
  await expect(at.client.listCollaborators(known(at), ask())).rejects.toMatchObject({ code: "forge.unreached" });
  expect(ongoing.hitCount).toBeGreaterThan(0);
});

test("fetchCredential() is the token, and there is none for pushing", async () => {
  const at = await stage();
  const { signal } = new AbortController();
  expect(await at.client.fetchCredential(known(at), signal)).toEqual({
    username: "slipway",
    password: "gitea-token-good",
    expiresAt: undefined,
  });
  expect(await at.client.pushCredential(known(at), signal)).toBeUndefined();
  expect(at.client.budget).toBeUndefined();
});

test("inspect() is content with the token of a site administrator", async () => {
  const { clientWith } = await stage();
  const findings = await clientWith({ repositories: ["acme/shop"] }).inspect(new AbortController().signal);
  expect(findings.filter(({ isGood }) => !isGood)).toEqual([]);
  expect(findings).toHaveLength(4);
});

test("inspect() names each missing scope, right and repository", async () => {
  const { world, robot, clientWith } = await stage();
  const complaintsOf = async (client: ForgeClient) =>
    (await client.inspect(new AbortController().signal)).filter(({ isGood }) => !isGood).map(({ text }) => text);
  const matching = (pattern: RegExp) => expect.stringMatching(pattern) as string;
  const both = { repositories: ["acme/shop"] };
  world.addToken("gitea-token-user", robot, ["read:user"]);
  expect(await complaintsOf(clientWith(both, "gitea-token-user"))).toEqual([
    matching(/^the token needs the scope "read:organization"/),
    matching(/^the token needs the scope "read:repository"/),
  ]);
  world.addToken("gitea-token-rest", robot, ["read:organization", "read:repository"]);
  expect(await complaintsOf(clientWith(both, "gitea-token-rest"))).toEqual([
    matching(/^the token needs the scope "read:user"/),
  ]);
  expect(await complaintsOf(clientWith({}, "gitea-token-unknown"))).toEqual([
    matching(/^the token is not accepted: .*401/),
  ]);
  const helper = world.addUser("helper");
  [...world.repositories.values()][0]!.collaborators.set(helper.id, "write");
  world.addToken("gitea-token-small", helper);
  const client = clientWith(
    { organizations: ["acme", "never"], repositories: ["acme/shop", "acme/never"] },
    "gitea-token-small",
  );
  expect(await complaintsOf(client)).toEqual([
    matching(/no site administrator/),
    matching(/no owner of acme/),
    matching(/not an administrator of 1 repositories of acme, as shop/),
    matching(/neither an organization nor a user never/),
    matching(/not an administrator of acme\/shop/),
    matching(/no repository acme\/never/),
  ]);
});

test("fetchCredential() fetches a private repository by git, and nothing less does", async () => {
  const at = await stage();
  const { server, shop, client } = at;
  await server.fill(shop, { main: { "README.md": "hello" } });
  const repository = known(at);
  const { username, password } = await client.fetchCredential(repository, new AbortController().signal);
  const env = { ...plainEnv("/nonexistent"), GIT_TERMINAL_PROMPT: "0" };
  const list = (secret: string) => {
    const address = repository.cloneUrl.replace("://", `://${username}:${secret}@`);
    return mustRun(["git", "ls-remote", address], { env });
  };
  expect(await list(password)).toContain("refs/heads/main");
  await expect(list("nothing")).rejects.toThrow();
});
