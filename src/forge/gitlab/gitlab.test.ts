import { afterEach, expect, test } from "vitest";
import { GitlabServer } from "../../../test/forges/gitlab/gitlab-server.ts";
import { GitlabWorld, type WorldGroup, type WorldProject, type WorldUser } from "../../../test/forges/gitlab/world.ts";
import { mustRun, plainEnv } from "../../../test/harness/program.ts";
import { makeClock } from "../../base/clock.ts";
import { makeLog } from "../../base/log.ts";
import type { ForgeSettings } from "../../wire/forge-settings.ts";
import type { ForgeRepository, ForgeRole } from "../../wire/forge.ts";
import type { Ask, ForgeClient } from "../forge-client.ts";
import type { AnswerCache, CachedAnswer } from "../../wire/knowledge.ts";
import { makeGitlab } from "./gitlab.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKJqtCiq/PjG3vJ5X9v4HY4K0mC1d3kW7Xq3f9ZqJ8sB";
const YESTERDAY = new Date(Date.now() - 24 * 3_600_000).toISOString().slice(0, 10);
const NEXT_YEAR = new Date(Date.now() + 365 * 24 * 3_600_000).toISOString().slice(0, 10);

interface Stage {
  readonly world: GitlabWorld;
  readonly server: GitlabServer;
  readonly acme: WorldGroup;
  readonly shop: WorldProject;
  readonly ada: WorldUser;
  /** The token's account. */
  readonly robot: WorldUser;
  readonly client: ForgeClient;
  readonly clientWith: (settings: Partial<ForgeSettings>, token?: string) => ForgeClient;
}

const open: GitlabServer[] = [];

afterEach(async () => {
  for (const server of open.splice(0)) await server[Symbol.asyncDispose]();
});

/** A group `acme` with a private project `shop`, whose developer is ada. */
async function stage(): Promise<Stage> {
  const world = new GitlabWorld();
  const clock = makeClock();
  const server = await GitlabServer.open(world, clock);
  open.push(server);
  const robot = world.addUser("robot");
  const ada = world.addUser("ada", { name: "Ada Lovelace" });
  const acme = world.addGroup("acme");
  const shop = world.addProject("shop", acme);
  world.setMember(acme, robot, 20);
  world.setMember(shop, ada, 30);
  world.addToken("glpat-good", robot);
  const clientWith: Stage["clientWith"] = (settings, token = "glpat-good") =>
    makeGitlab({
      settings: { ...settingsFor(server), ...settings },
      secrets: { credential: token, webhook: "hush" },
      clock,
      log: makeLog("silent"),
      cache: memoryCache(),
    });
  return { world, server, acme, shop, ada, robot, client: clientWith({}), clientWith };
}

function settingsFor(server: GitlabServer): ForgeSettings {
  return {
    name: "lab",
    type: "gitlab",
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

function memoryCache(): AnswerCache {
  const kept = new Map<string, CachedAnswer>();
  return {
    read: async (url) => kept.get(url),
    write: async (url, answer) => void kept.set(url, answer),
  };
}

function ask(): Ask {
  return { priority: "login", signal: new AbortController().signal };
}

async function shopOf({ client, shop }: Pick<Stage, "client" | "shop">): Promise<ForgeRepository> {
  const { value } = await client.listRepositories(ask());
  const found = value.find(({ id }) => id === String(shop.id));
  if (found === undefined) throw new Error("Cannot go on: the project is not listed");
  return found;
}

function nameOf({ id, username }: WorldUser): { id: string; login: string } {
  return { id: String(id), login: username };
}

test("listRepositories() lists what is in a group and its subgroups, beyond one page", async () => {
  const { world, server, acme, shop, client } = await stage();
  const tools = world.addGroup("tools", { parent: world.addGroup("inner", { parent: acme }) });
  const lathe = world.addProject("lathe", tools, { visibility: "public", archived: true });
  world.addProject("other", world.addGroup("elsewhere"));
  for (let count = 0; count < 250; count += 1) world.addProject(`p${count}`, acme);
  const { value, source } = await client.listRepositories(ask());
  expect(value).toHaveLength(252);
  expect(value.find(({ id }) => id === String(shop.id))).toEqual({
    id: String(shop.id),
    owner: "acme",
    name: "shop",
    cloneUrl: `${server.url}/acme/shop.git`,
    isPrivate: true,
    isArchived: false,
  });
  expect(value.find(({ id }) => id === String(lathe.id))).toMatchObject({
    owner: "acme/inner/tools",
    name: "lathe",
    isPrivate: false,
    isArchived: true,
  });
  expect(source).toMatch(/^GET \/groups\/acme\/projects\?/);
});

test("listRepositories() lists projects of users, and single ones by their path", async () => {
  const { world, acme, shop, robot, clientWith } = await stage();
  const notes = world.addProject("notes", robot);
  const deep = world.addProject("deep", world.addGroup("inner", { parent: acme }));
  world.addProject("not-wanted", acme);
  const client = clientWith({ organizations: ["robot"], repositories: ["acme/shop", "ACME/inner/deep", "acme/never"] });
  const { value } = await client.listRepositories(ask());
  expect(value.map(({ id }) => Number(id)).sort()).toEqual([shop.id, notes.id, deep.id].sort());
});

test("listRepositories() rejects when a group is not shown, since GitLab hides groups from tokens", async () => {
  const { clientWith } = await stage();
  const listing = clientWith({ organizations: ["acme", "hidden"] }).listRepositories(ask());
  await expect(listing).rejects.toMatchObject({
    code: "forge.refused",
    message: expect.stringContaining("hidden") as string,
  });
});

test("listRepositories() leaves out a single project whose path leads to one that has moved away", async () => {
  const { world, shop, clientWith } = await stage();
  const client = clientWith({ organizations: [], repositories: ["acme/shop"] });
  world.transfer(shop, world.addGroup("elsewhere", { visibility: "public" }));
  expect((await client.listRepositories(ask())).value).toEqual([]);
});

test("a single project that is renamed stays connected, until another one takes its path", async () => {
  const { world, acme, shop, clientWith } = await stage();
  const client = clientWith({ organizations: [], repositories: ["acme/shop"] });
  const known = await shopOf({ client, shop });
  world.renameProject(shop, "store");
  expect((await client.listRepositories(ask())).value).toMatchObject([{ id: known.id, name: "store" }]);
  expect((await client.readRepository(known, ask())).value).toMatchObject({ id: known.id, name: "store" });
  const squatter = world.addProject("shop", acme);
  expect((await client.listRepositories(ask())).value).toMatchObject([{ id: String(squatter.id), name: "shop" }]);
  expect((await client.readRepository(known, ask())).value).toBeUndefined();
});

test("readRepository() follows renaming, archiving and deletion, and loses what is transferred or removed", async () => {
  const { world, acme, shop, client, robot } = await stage();
  const known = await shopOf({ client, shop });
  const read = async () => (await client.readRepository(known, ask())).value;
  world.renameProject(shop, "store");
  expect(await read()).toMatchObject({ owner: "acme", name: "store", isArchived: false });
  world.archive(shop);
  expect(await read()).toMatchObject({ isArchived: true });
  world.archive(shop, false);
  shop.markedForDeletionOn = YESTERDAY;
  expect(await read()).toMatchObject({ isArchived: true });
  shop.markedForDeletionOn = null;
  const elsewhere = world.addGroup("elsewhere");
  world.setMember(elsewhere, robot, 20);
  world.transfer(shop, elsewhere);
  expect(await read()).toBeUndefined();
  world.transfer(shop, acme);
  expect(await read()).toMatchObject({ owner: "acme" });
  world.removeProject(shop);
  expect(await read()).toBeUndefined();
});

test.each<[level: number, role: ForgeRole, onPublic: ForgeRole]>([
  [5, "none", "none"],
  [10, "none", "read"],
  [15, "none", "read"],
  [20, "read", "read"],
  [30, "write", "write"],
  [40, "admin", "admin"],
  [50, "admin", "admin"],
])(
  "readRole() and listCollaborators() take access level %i for %s, on a public project for %s",
  async (level, role, onPublic) => {
    const { world, shop, client } = await stage();
    const grace = world.addUser("grace");
    world.setMember(shop, grace, level);
    for (const [visibility, wanted] of [
      ["private", role],
      ["internal", role],
      ["public", onPublic],
    ] as const) {
      shop.visibility = visibility;
      const known = await shopOf({ client, shop });
      expect((await client.readRole(known, nameOf(grace), ask())).value).toBe(wanted);
      const { value } = await client.listCollaborators(known, ask());
      expect(value?.find(({ login }) => login === "grace")?.role ?? "none").toBe(wanted);
    }
  },
);

test("readRole() lets a guest read code by a custom role", async () => {
  const { world, shop, client } = await stage();
  const grace = world.addUser("grace");
  world.setMember(shop, grace, { level: 10, expiresAt: null, readCode: true });
  expect((await client.readRole(await shopOf({ client, shop }), nameOf(grace), ask())).value).toBe("read");
});

test("listCollaborators() counts in groups above, invited groups and their limits, once each, beyond one page", async () => {
  const { world, acme, shop, ada, robot, client } = await stage();
  const [boss, guest, capped] = [world.addUser("boss"), world.addUser("guest"), world.addUser("capped")];
  world.setMember(acme, boss, 50);
  world.setMember(acme, ada, 40);
  const partners = world.addGroup("partners");
  world.setMember(partners, guest, 30);
  world.setMember(partners, capped, 50);
  world.invite(partners, shop, 30);
  const friends = world.addGroup("friends");
  const friend = world.addUser("friend");
  world.setMember(friends, friend, 40);
  world.invite(friends, acme, 20);
  for (let count = 0; count < 210; count += 1) world.setMember(shop, world.addUser(`dev${count}`), 30);
  const { value } = await client.listCollaborators(await shopOf({ client, shop }), ask());
  expect(value).toHaveLength(216);
  const roleOf = ({ id }: WorldUser) => value?.find((one) => one.id === String(id))?.role;
  expect([boss, ada, guest, capped, friend, robot].map(roleOf)).toEqual([
    "admin",
    "admin",
    "write",
    "write",
    "read",
    "read",
  ]);
});

test("readRole() and listCollaborators() take no membership that has ended, awaits a seat, or is of somebody blocked", async () => {
  const { world, shop, client } = await stage();
  const [late, soon, waiting, blocked] = ["late", "soon", "waiting", "blocked"].map((name) => world.addUser(name));
  world.setMember(shop, late!, { level: 40, expiresAt: YESTERDAY });
  world.setMember(shop, soon!, { level: 40, expiresAt: NEXT_YEAR });
  world.setMember(shop, waiting!, { level: 40, expiresAt: null, membershipState: "awaiting" });
  world.setMember(shop, blocked!, 40);
  world.setState(blocked!, "blocked");
  const known = await shopOf({ client, shop });
  const roles = await Promise.all(
    [late, soon, waiting, blocked].map(async (user) => (await client.readRole(known, nameOf(user!), ask())).value),
  );
  expect(roles).toEqual(["none", "admin", "none", "none"]);
  const { value } = await client.listCollaborators(known, ask());
  expect(value?.map(({ login }) => login).sort()).toEqual(["ada", "robot", "soon"]);
});

test("readRole() goes by the number: not the one who took over a name", async () => {
  const { world, shop, ada, client } = await stage();
  const known = await shopOf({ client, shop });
  world.renameUser(ada, "countess");
  const other = world.addUser("ada");
  expect(await client.readRole(known, { id: String(ada.id), login: "ada" }, ask())).toMatchObject({
    value: "write",
    source: `GET /projects/${shop.id}/members/all/${ada.id}`,
  });
  expect((await client.readRole(known, nameOf(other), ask())).value).toBe("none");
  world.removeUser(ada);
  expect((await client.readRole(known, { id: String(ada.id), login: "ada" }, ask())).value).toBe("none");
});

test("listCollaborators() knows no project that is gone", async () => {
  const { world, shop, client, ada } = await stage();
  const known = await shopOf({ client, shop });
  world.removeProject(shop);
  expect((await client.listCollaborators(known, ask())).value).toBeUndefined();
  expect((await client.readRole(known, nameOf(ada), ask())).value).toBe("none");
});

test("readAccount() tells name and state by number, in any name", async () => {
  const { world, server, ada, client } = await stage();
  const read = async () => (await client.readAccount(String(ada.id), ask())).value;
  const hidden = `${ada.id}-ada@users.noreply.${new URL(server.url).hostname}`;
  expect(await read()).toEqual({
    id: String(ada.id),
    login: "ada",
    fullName: "Ada Lovelace",
    email: hidden,
    isSuspended: false,
  });
  ada.publicEmail = "ada@lovelace.example";
  ada.name = "Ada\nLovelace";
  world.renameUser(ada, "countess");
  expect(await read()).toMatchObject({ login: "countess", fullName: "Ada Lovelace", email: "ada@lovelace.example" });
  for (const state of ["blocked", "ldap_blocked", "blocked_pending_approval", "deactivated", "banned"] as const) {
    world.setState(ada, state);
    expect(await read()).toMatchObject({ isSuspended: true });
  }
  world.removeUser(ada);
  expect(await read()).toBeUndefined();
});

test("listKeys() lists keys that may log in, beyond one page, and none of the one who took over a name", async () => {
  const { world, ada, client } = await stage();
  world.addKey(ada, `${KEY} laptop`);
  world.addKey(ada, `${KEY} ended`, { expiresAt: `${YESTERDAY}T00:00:00.000Z` });
  world.addKey(ada, `${KEY} later`, { expiresAt: `${NEXT_YEAR}T00:00:00.000Z`, usage: "auth" });
  world.addKey(ada, `${KEY} signing`, { usage: "signing" });
  world.renameUser(ada, "countess");
  world.addKey(world.addUser("ada"), `${KEY} stranger`);
  const list = async () => (await client.listKeys({ id: String(ada.id), login: "ada" }, ask())).value;
  expect(await list()).toEqual([`${KEY} laptop`, `${KEY} later`]);
  for (let count = 0; count < 205; count += 1) world.addKey(ada, `${KEY} ${count}`);
  expect(await list()).toHaveLength(207);
  world.removeUser(ada);
  expect(await list()).toBeUndefined();
});

test("an unchanged answer is asked for conditionally", async () => {
  const { server, shop, client } = await stage();
  const known = await shopOf({ client, shop });
  await client.listCollaborators(known, ask());
  server.http.clearRequests();
  expect((await client.listCollaborators(known, ask())).value).toHaveLength(2);
  expect(server.http.requests.map(({ status }) => status)).toEqual([304]);
});

const CALLS: readonly [name: string, call: (client: ForgeClient, known: ForgeRepository) => Promise<unknown>][] = [
  ["listRepositories", (client) => client.listRepositories(ask())],
  ["readRepository", (client, known) => client.readRepository(known, ask())],
  ["listCollaborators", (client, known) => client.listCollaborators(known, ask())],
  ["readRole", (client, known) => client.readRole(known, { id: "101", login: "ada" }, ask())],
  ["readAccount", (client) => client.readAccount("101", ask())],
  ["listKeys", (client) => client.listKeys({ id: "101", login: "ada" }, ask())],
];

test.each(CALLS)("%s() rejects with forge.unreached, whatever is wrong with GitLab", async (_, call) => {
  const { server, shop, client: warm, clientWith } = await stage();
  const known = await shopOf({ client: warm, shop });
  // A 304 has no body that could be broken: this one keeps no answers yet.
  const client = clientWith({});
  for (const trouble of [
    { type: "refuse" },
    { type: "reset" },
    { type: "truncated" },
    { type: "garbage" },
    { type: "status", status: 500, body: "json" },
    { type: "status", status: 502, body: "html" },
  ] as const) {
    await using ongoing = await server.http.trouble(trouble);
    await expect(call(client, known)).rejects.toMatchObject({ code: "forge.unreached" });
    expect(ongoing.hitCount > 0 || trouble.type === "refuse").toBe(true);
  }
  await expect(call(client, known)).resolves.toMatchObject({ askedAt: expect.any(Number) as number });
});

test.each(CALLS)("%s() rejects with forge.refused, naming the scope that the token lacks", async (_, call) => {
  const { world, robot, shop, client, clientWith } = await stage();
  const known = await shopOf({ client, shop });
  world.addToken("glpat-small", robot, ["read_repository"]);
  await expect(call(clientWith({}, "glpat-small"), known)).rejects.toMatchObject({
    code: "forge.refused",
    message: expect.stringContaining("read_api") as string,
  });
  const bad = call(clientWith({}, "glpat-unknown"), known);
  await expect(bad).rejects.toMatchObject({ code: "forge.refused", message: expect.stringContaining("401") as string });
  await expect(bad).rejects.not.toMatchObject({ message: expect.stringContaining("glpat") as string });
});

test("a list whose later page fails is no list", async () => {
  const { world, server, shop, client } = await stage();
  for (let count = 0; count < 210; count += 1) world.setMember(shop, world.addUser(`dev${count}`), 30);
  const known = await shopOf({ client, shop });
  await using ongoing = await server.http.trouble(
    { type: "status", status: 500, body: "json" },
    { template: "/projects/:id/members/all", page: 3 },
  );
  await expect(client.listCollaborators(known, ask())).rejects.toMatchObject({ code: "forge.unreached" });
  expect(ongoing.hitCount).toBe(1);
});

test("requests are held back when GitLab's limit is spent, and budget tells what is left", async () => {
  const { server, ada, client } = await stage();
  expect(client.budget).toBeUndefined();
  server.rateLimit = { limit: 2, windowMs: 3_600_000 };
  await client.readAccount(String(ada.id), ask());
  expect(client.budget).toMatchObject({ limit: 2, remaining: 1 });
  await client.readAccount(String(ada.id), ask());
  await expect(client.readAccount(String(ada.id), ask())).rejects.toMatchObject({ code: "forge.limited" });
});

test("fetchCredential() is the token, and there is none for pushing", async () => {
  const { shop, client } = await stage();
  const known = await shopOf({ client, shop });
  const { signal } = new AbortController();
  expect(await client.fetchCredential(known, signal)).toEqual({
    username: "oauth2",
    password: "glpat-good",
    expiresAt: undefined,
  });
  expect(await client.pushCredential(known, signal)).toBeUndefined();
});

test("inspect() is content with a token that has the scopes and is a member", async () => {
  const { clientWith } = await stage();
  const findings = await clientWith({ repositories: ["acme/shop"] }).inspect(new AbortController().signal);
  expect(findings.filter(({ isGood }) => !isGood)).toEqual([]);
  expect(findings.length).toBeGreaterThan(2);
});

test("inspect() names each missing scope, group and membership", async () => {
  const { world, acme, robot, clientWith } = await stage();
  const complaintsOf = async (client: ForgeClient) =>
    (await client.inspect(new AbortController().signal)).filter(({ isGood }) => !isGood).map(({ text }) => text);
  world.addToken("glpat-api", robot, ["read_api"]);
  expect(await complaintsOf(clientWith({}, "glpat-api"))).toEqual(['the token has not the scope "read_repository"']);
  world.addToken("glpat-git", robot, ["read_repository"]);
  expect(await complaintsOf(clientWith({}, "glpat-git"))).toEqual([
    'the token has not the scope "read_api"',
    expect.stringMatching(/^the token may not read the group acme: .*read_api/) as string,
  ]);
  expect(await complaintsOf(clientWith({}, "glpat-unknown"))).toEqual([
    expect.stringMatching(/^GitLab does not accept the token: .*401/) as string,
  ]);
  acme.visibility = "public";
  world.removeMember(acme, robot);
  expect(await complaintsOf(clientWith({ organizations: ["acme", "never"], repositories: ["acme/shop"] }))).toEqual([
    expect.stringContaining("no member of acme") as string,
    "GitLab shows the token neither a group nor a user never",
    "GitLab shows the token no project acme/shop",
  ]);
});

test("fetchCredential() fetches a private repository by git, and nothing less does", async () => {
  const { server, shop, client } = await stage();
  await server.fill(shop, { main: { "README.md": "hello" } });
  const repository = await shopOf({ client, shop });
  const { username, password } = await client.fetchCredential(repository, new AbortController().signal);
  const env = { ...plainEnv("/nonexistent"), GIT_TERMINAL_PROMPT: "0" };
  const list = (secret: string) => {
    const address = repository.cloneUrl.replace("://", `://${username}:${secret}@`);
    return mustRun(["git", "ls-remote", address], { env });
  };
  expect(await list(password)).toContain("refs/heads/main");
  await expect(list("nothing")).rejects.toThrow();
});
