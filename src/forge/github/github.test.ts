import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";

import { HandClock } from "../../../test/fakes/hand-clock.ts";
import { installApp, setInstalled, suspendInstallation, uninstallApp } from "../../../test/forges/github/apps.ts";
import { type Github, type GithubSpec, openGithub } from "../../../test/forges/github/github.ts";
import { type Clock, makeClock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import { makeLog } from "../../base/log.ts";
import type { ForgeSettings } from "../../wire/forge-settings.ts";
import type { ForgeRepository } from "../../wire/forge.ts";
import type { Ask, ForgeClient, Priority } from "../forge-client.ts";
import type { AnswerCache, CachedAnswer } from "../../wire/knowledge.ts";
import { makeGithub } from "./github.ts";

const KEY = `ssh-ed25519 ${Buffer.from(`\0\0\0\x0bssh-ed25519\0\0\0\x20${"k".repeat(32)}`, "latin1").toString("base64")}`;
const OTHER_KEY = KEY.replace("a2tr", "a2tp");

interface World {
  readonly github: Github;
  readonly client: ForgeClient;
  /** Counts requests since the last call. */
  readonly requests: () => Map<string, number>;
  readonly shop: () => Promise<ForgeRepository>;
}

const SPEC: GithubSpec = {
  org: "acme",
  repos: ["shop", { name: "site", isPrivate: false }, { name: "old", isArchived: true }],
  people: [
    { login: "root", role: "owner" },
    { login: "ada", name: "Ada Lovelace", email: "ada@example.org", keys: [KEY], role: "push" },
    { login: "rita", role: "pull" },
    { login: "max", role: "maintain" },
    { login: "eve" },
  ],
};

interface Options {
  readonly spec?: GithubSpec;
  readonly as?: "app" | "token";
  readonly settings?: Partial<ForgeSettings>;
  readonly clock?: Clock;
}

async function open(options: Options = {}): Promise<World & AsyncDisposable> {
  const clock = options.clock ?? makeClock();
  const github = await openGithub({ ...SPEC, clock, ...options.spec });
  const token = options.as === "token" ? github.addToken("root") : undefined;
  const client = makeGithub({
    ...github.configured(token, options.settings),
    ...{ clock, log: makeLog("silent"), cache: memoryCache(), limits: { retryWaitMs: 5 } },
  });
  github.server.clearRequests();
  return {
    github,
    client,
    requests: () => {
      const counts = github.server.countRequests();
      github.server.clearRequests();
      return counts;
    },
    shop: () => repositoryNamed(client, "shop"),
    [Symbol.asyncDispose]: () => github[Symbol.asyncDispose](),
  };
}

function memoryCache(): AnswerCache {
  const kept = new Map<string, CachedAnswer>();
  return {
    read: async (url) => kept.get(url),
    write: async (url, answer) => {
      kept.set(url, answer);
    },
  };
}

function ask(priority: Priority = "login"): Ask {
  return { priority, signal: AbortSignal.timeout(20_000) };
}

async function repositoryNamed(client: ForgeClient, name: string): Promise<ForgeRepository> {
  const { value } = await client.listRepositories(ask());
  const found = value.find((repository) => repository.name === name);
  if (found === undefined) throw new Error(`No ${name} in the list`);
  return found;
}

function nameOf(github: Github, login: string) {
  return { id: String(github.world.user(login).id), login };
}

async function roleOf({ client, github, shop }: World, login: string, repository?: ForgeRepository) {
  return (await client.readRole(repository ?? (await shop()), nameOf(github, login), ask())).value;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "fine";
  } catch (error) {
    if (error instanceof Fault) return error.code;
    throw error;
  }
}

const WAYS = ["app", "token"] as const;

test.each(WAYS)("listRepositories() has all of an organisation, archived ones too, as %s", async (as) => {
  await using world = await open({ as });
  const { value, source } = await world.client.listRepositories(ask());
  expect(value.map(({ name, isPrivate, isArchived }) => ({ name, isPrivate, isArchived }))).toEqual([
    { name: "shop", isPrivate: true, isArchived: false },
    { name: "site", isPrivate: false, isArchived: false },
    { name: "old", isPrivate: true, isArchived: true },
  ]);
  expect(value[0]).toMatchObject({
    id: String(world.github.world.repository("acme/shop").id),
    owner: "acme",
    cloneUrl: `${world.github.url}/acme/shop.git`,
  });
  expect(source).toContain(as === "app" ? "GET /installation/repositories" : "GET /orgs/acme/repos");
});

test.each(WAYS)(
  "listRepositories() reads all pages, and then costs nothing while nothing changes, as %s",
  async (as) => {
    const repos = Array.from({ length: 230 }, (_, index) => `r${index}`);
    await using world = await open({ as, spec: { repos } });
    expect((await world.client.listRepositories(ask())).value).toHaveLength(230);
    world.requests();
    expect((await world.client.listRepositories(ask())).value).toHaveLength(230);
    const charged = world.github.server.requests.filter(({ isCharged }) => isCharged);
    expect(charged).toEqual([]);
    expect(world.github.server.requests).toHaveLength(3);
  },
);

test.each(WAYS)("listRepositories() has single repositories, and whichever a name now leads to, as %s", async (as) => {
  await using world = await open({ as, settings: { organizations: [], repositories: ["acme/shop", "acme/gone"] } });
  expect((await world.client.listRepositories(ask())).value.map(({ name }) => name)).toEqual(["shop"]);
  world.github.world.renameRepository("acme/shop", "store");
  expect((await world.client.listRepositories(ask())).value.map(({ name }) => name)).toEqual(["store"]);
});

test("listRepositories() has those of a user, own private ones for the user's own token", async () => {
  await using world = await open({ as: "token", settings: { organizations: ["root", "eve"] } });
  world.github.world.addRepository("root/diary");
  world.github.world.addRepository("eve/secret");
  world.github.world.addRepository("eve/page", { isPrivate: false });
  const { value } = await world.client.listRepositories(ask());
  expect(value.map(({ owner, name }) => `${owner}/${name}`).toSorted()).toEqual(["eve/page", "root/diary"]);
});

test.each(["status", "truncated", "garbage", "reset"] as const)(
  "listRepositories() rejects when one page is hit by %s",
  async (type) => {
    const repos = Array.from({ length: 130 }, (_, index) => `r${index}`);
    await using world = await open({ as: "token", spec: { repos } });
    const trouble = type === "status" ? ({ type, status: 500, body: "html" } as const) : { type };
    await world.github.server.trouble(trouble, { page: 2 });
    expect(await codeOf(world.client.listRepositories(ask()))).toBe("forge.unreached");
  },
);

test.each(WAYS)("readRepository() sees what became of a repository, as %s", async (as) => {
  await using world = await open({ as });
  const shop = await world.shop();
  const read = async (of = shop) => (await world.client.readRepository(of, ask())).value;
  expect(await read()).toEqual(shop);
  world.github.world.archive("acme/shop");
  world.github.world.setPrivate("acme/shop", false);
  expect(await read()).toMatchObject({ isArchived: true, isPrivate: false });
  world.github.world.renameRepository("acme/shop", "store");
  expect(await read()).toMatchObject({ id: shop.id, name: "store" });
  // Its old name is another's now: what that one is does not count.
  world.github.world.addRepository("acme/shop", { isPrivate: false });
  expect(await read()).toMatchObject({ id: shop.id, name: "store" });
  world.github.world.transfer("acme/store", "eve");
  expect(await read()).toBeUndefined();
  const site = await repositoryNamed(world.client, "site");
  world.github.world.deleteRepository("acme/site");
  expect(await read(site)).toBeUndefined();
});

test("readRepository() says no when it is given to an owner that is not connected, though it is public", async () => {
  await using world = await open({ as: "token" });
  const site = await repositoryNamed(world.client, "site");
  world.github.world.transfer("acme/site", "eve");
  expect((await world.client.readRepository(site, ask())).value).toBeUndefined();
  expect((await world.client.readRole(site, nameOf(world.github, "eve"), ask())).value).toBe("none");
});

test("readRepository() keeps a single repository that is renamed, and not another of the same owner", async () => {
  await using world = await open({ as: "token", settings: { organizations: [], repositories: ["acme/shop"] } });
  const shop = await world.shop();
  world.github.world.renameRepository("acme/shop", "store");
  expect((await world.client.readRepository(shop, ask())).value).toMatchObject({ name: "store" });
  const site = world.github.world.repository("acme/site");
  const other = { ...shop, id: String(site.id), name: "site" };
  expect((await world.client.readRepository(other, ask())).value).toBeUndefined();
});

test.each(WAYS)("listCollaborators() has everybody with a role, by whatever route, as %s", async (as) => {
  await using world = await open({ as });
  const { world: hub } = world.github;
  hub.addTeam("acme/builders");
  hub.setMember("acme", "eve");
  hub.addToTeam("acme/builders", "eve");
  hub.setTeamPermission("acme/builders", "acme/shop", "triage");
  const { value } = await world.client.listCollaborators(await world.shop(), ask());
  expect(Object.fromEntries(value?.map(({ login, role }) => [login, role]) ?? [])).toEqual({
    ...{ root: "admin", ada: "write", rita: "read", max: "write", eve: "read" },
  });
  expect(value?.map(({ id }) => id)).toContain(nameOf(world.github, "eve").id);
});

test.each(WAYS)("listCollaborators() reads all of 230, and costs nothing while nothing changes, as %s", async (as) => {
  await using world = await open({ as });
  const shop = await world.shop();
  for (let index = 0; index < 230; index += 1) {
    world.github.world.addUser({ login: `p${index}` });
    world.github.world.setCollaborator("acme/shop", `p${index}`, "push");
  }
  const read = async () => (await world.client.listCollaborators(shop, ask("background"))).value;
  expect(await read()).toHaveLength(234);
  world.requests();
  expect(await read()).toHaveLength(234);
  expect(world.github.server.requests.filter(({ isCharged }) => isCharged)).toEqual([]);
  world.github.world.removeCollaborator("acme/shop", "p7");
  expect(await read()).toHaveLength(233);
});

test.each(WAYS)(
  "listCollaborators() is undefined when the repository is gone, and of the right one when it moved, as %s",
  async (as) => {
    await using world = await open({ as });
    const shop = await world.shop();
    world.github.world.renameRepository("acme/shop", "store");
    world.github.world.addRepository("acme/shop");
    world.github.world.setCollaborator("acme/shop", "eve", "admin");
    // Whoever waits for a login rests on names seen in the last half minute; so this is another client, with none seen.
    const { settings, secrets } = world.github.configured(as === "token" ? world.github.addToken("root") : undefined);
    const other = makeGithub({ settings, secrets, clock: makeClock(), log: makeLog("silent"), cache: memoryCache() });
    const logins = (await other.listCollaborators(shop, ask())).value?.map(({ login }) => login);
    expect(logins).toContain("ada");
    expect(logins).not.toContain("eve");
    expect((await other.readRole(shop, nameOf(world.github, "eve"), ask())).value).toBe("none");
    expect((await other.readRole(shop, nameOf(world.github, "ada"), ask())).value).toBe("write");
    world.github.world.deleteRepository("acme/store");
    const third = makeGithub({ settings, secrets, clock: makeClock(), log: makeLog("silent"), cache: memoryCache() });
    expect((await third.listCollaborators(shop, ask())).value).toBeUndefined();
  },
);

test("listCollaborators() is refused, and not empty, when the token may not list them", async () => {
  await using world = await open({ as: "token" });
  const site = await repositoryNamed(world.client, "site");
  const weak = makeGithub({
    ...world.github.configured(world.github.addToken("eve")),
    ...{ clock: makeClock(), log: makeLog("silent"), cache: memoryCache() },
  });
  expect(await codeOf(weak.listCollaborators(site, ask()))).toBe("forge.refused");
  expect(await codeOf(weak.readRole(site, nameOf(world.github, "ada"), ask()))).toBe("forge.refused");
});

test.each(WAYS)("readRole() tells every role, as %s", async (as) => {
  await using world = await open({ as });
  const roles = [];
  for (const login of ["root", "max", "ada", "rita", "eve"]) roles.push(await roleOf(world, login));
  expect(roles).toEqual(["admin", "write", "write", "read", "none"]);
});

test.each(WAYS)(
  "readRole() has none for strangers on a public repository, and read for collaborators who may read, as %s",
  async (as) => {
    await using world = await open({ as });
    const site = await repositoryNamed(world.client, "site");
    expect(await roleOf(world, "eve", site)).toBe("none");
    expect(await roleOf(world, "rita", site)).toBe("read");
    world.github.world.removeCollaborator("acme/site", "rita");
    expect(await roleOf(world, "rita", site)).toBe("none");
  },
);

test.each(WAYS)("readRole() goes by the number: a name that was given up and taken helps nobody, as %s", async (as) => {
  await using world = await open({ as });
  const { world: hub } = world.github;
  const shop = await world.shop();
  const ada = nameOf(world.github, "ada");
  const role = async (account: typeof ada) => (await world.client.readRole(shop, account, ask())).value;
  hub.renameOwner("ada", "ada-l");
  expect(await role(ada)).toBe("write");
  const thief = { id: String(hub.addUser({ login: "ada" }).id), login: "ada" };
  expect(await role(ada)).toBe("write");
  expect(await role(thief)).toBe("none");
  hub.removeCollaborator("acme/shop", "ada-l");
  hub.setCollaborator("acme/shop", "ada", "push");
  expect(await role(ada)).toBe("none");
  expect(await role(thief)).toBe("write");
  hub.deleteOwner("ada-l");
  expect(await role(ada)).toBe("none");
});

test.each(WAYS)("readAccount() reads an account, with what GitHub makes up for what is not said, as %s", async (as) => {
  await using world = await open({ as });
  const { github, client } = world;
  const read = async (login: string) => (await client.readAccount(nameOf(github, login).id, ask())).value;
  expect(await read("ada")).toEqual({
    id: nameOf(github, "ada").id,
    ...{ login: "ada", fullName: "Ada Lovelace", email: "ada@example.org", isSuspended: false },
  });
  const { id } = nameOf(github, "eve");
  expect(await read("eve")).toMatchObject({ fullName: "eve", email: `${id}+eve@users.noreply.127.0.0.1` });
  github.world.suspend("eve");
  expect(await read("eve")).toBeUndefined();
  expect((await client.readAccount("999999", ask())).value).toBeUndefined();
});

// Law: "person suspended: … live sessions cut … within the poll interval". An Enterprise Server goes on listing the keys and the
// role of somebody who is suspended, and keys that had been seen before were taken without a look at their account.
test.each(WAYS)("an Enterprise Server's suspended people are seen with their keys, as %s", async (as) => {
  await using world = await open({ as, spec: { edition: "enterprise" } });
  const { github, client } = world;
  expect(github.apiUrl).toMatch(/\/api\/v3$/);
  const ada = nameOf(github, "ada");
  const look = async () => ({
    isSuspended: (await client.readAccount(ada.id, ask())).value?.isSuspended,
    keys: (await client.listKeys(ada, ask("live"))).value,
  });
  expect(await look()).toEqual({ isSuspended: false, keys: [KEY] });
  github.world.suspend("ada");
  expect(await roleOf(world, "ada")).toBe("write");
  expect(await look()).toEqual({ isSuspended: true, keys: undefined });
  github.world.suspend("ada", false);
  expect(await look()).toEqual({ isSuspended: false, keys: [KEY] });
});

test.each(WAYS)(
  "an Enterprise Server is asked below its prefix, on every page and after redirects, as %s",
  async (as) => {
    await using world = await open({ as, spec: { edition: "enterprise" } });
    const { github, client } = world;
    const shop = await world.shop();
    for (let index = 0; index < 120; index += 1) {
      github.world.addUser({ login: `p${index}` });
      github.world.setCollaborator("acme/shop", `p${index}`, "push");
    }
    expect((await client.listCollaborators(shop, ask())).value).toHaveLength(124);
    github.server.clearRequests();
    expect((await client.listCollaborators(shop, ask())).value).toHaveLength(124);
    expect(github.server.requests.filter(({ isCharged }) => isCharged)).toEqual([]);
    github.world.renameRepository("acme/shop", "store");
    github.world.addRepository("acme/shop");
    expect((await client.readRepository(shop, ask())).value).toMatchObject({ id: shop.id, name: "store" });
    expect((await client.inspect(ask().signal)).filter(({ isGood }) => !isGood)).toEqual([]);
    const { id } = nameOf(github, "eve");
    expect((await client.readAccount(id, ask())).value?.email).toBe(`${id}+eve@users.noreply.127.0.0.1`);
  },
);

test.each(WAYS)("listKeys() lists the keys of the account, and costs nothing while they stay, as %s", async (as) => {
  await using world = await open({ as });
  const { github, client } = world;
  const ada = nameOf(github, "ada");
  const read = async () => (await client.listKeys(ada, ask())).value;
  expect(await read()).toEqual([KEY]);
  world.requests();
  expect(await read()).toEqual([KEY]);
  expect([...world.requests().values()]).toEqual([1]);
  github.world.addKey("ada", OTHER_KEY);
  expect(await read()).toEqual([KEY, OTHER_KEY]);
  github.world.removeKey("ada");
  expect(await read()).toEqual([]);
  github.world.suspend("ada");
  expect(await read()).toBeUndefined();
});

test.each(WAYS)("listKeys() never takes the keys of whoever has the name now, as %s", async (as) => {
  await using world = await open({ as });
  const { github, client } = world;
  const ada = nameOf(github, "ada");
  const read = async () => (await client.listKeys(ada, ask())).value;
  expect(await read()).toEqual([KEY]);
  github.world.renameOwner("ada", "ada-l");
  expect(await read()).toEqual([KEY]);
  github.world.addUser({ login: "ada", keys: [OTHER_KEY] });
  expect(await read()).toEqual([KEY]);
  github.world.deleteOwner("ada-l");
  expect(await read()).toBeUndefined();
});

test("listKeys() reads more keys than a page has", async () => {
  await using world = await open({ as: "token" });
  const line = (index: number) => KEY.slice(0, -8) + String(index).padStart(8, "0");
  for (let index = 0; index < 120; index += 1) world.github.world.addKey("eve", line(index));
  expect((await world.client.listKeys(nameOf(world.github, "eve"), ask())).value).toHaveLength(120);
});

test("an App has a token for each installation, asks for it once, and renews it before it ends", async () => {
  const clock = new HandClock(Date.parse("2026-11-21T12:00:00Z"));
  await using world = await open({ clock });
  const { github, client } = world;
  github.world.addOrganization("labs");
  github.world.addRepository("labs/x");
  github.world.setCollaborator("labs/x", "ada", "push");
  installApp(github.world, { app: github.app, on: "labs" });
  const both = makeGithub({
    ...github.configured(undefined, { organizations: ["acme", "labs"] }),
    ...{ clock, log: makeLog("silent"), cache: memoryCache() },
  });
  const lists = await Promise.all([both.listRepositories(ask()), both.listRepositories(ask())]);
  for (const { value } of lists) expect(value.map(({ name }) => name)).toEqual(["shop", "site", "old", "x"]);
  const tokens = () => world.requests().get("POST /app/installations/{installation_id}/access_tokens") ?? 0;
  expect(tokens()).toBe(2);
  await clock.advance(54 * 60_000);
  await both.listRepositories(ask());
  expect(tokens()).toBe(0);
  await clock.advance(2 * 60_000);
  await both.listRepositories(ask());
  expect(tokens()).toBe(2);
  expect(client.budget).toBeUndefined();
  expect(both.budget).toMatchObject({ limit: 5_000 });
});

test("an App whose token GitHub no longer takes gets another, once for all who ask", async () => {
  await using world = await open();
  const { github, client } = world;
  const shop = await world.shop();
  const { password } = await client.fetchCredential(shop, ask().signal);
  github.revokeToken(password);
  world.requests();
  const answers = await Promise.all(Array.from({ length: 5 }, () => client.readRepository(shop, ask())));
  for (const { value } of answers) expect(value).toEqual(shop);
  expect(world.requests().get("POST /app/installations/{installation_id}/access_tokens")).toBe(1);
  expect((await client.fetchCredential(shop, ask().signal)).password).not.toBe(password);
});

test("an App that is taken away is no longer shown anything, at once and by definite answers", async () => {
  await using world = await open();
  const { github, client } = world;
  const shop = await world.shop();
  expect(await roleOf(world, "ada", shop)).toBe("write");
  uninstallApp(github.world, github.installation);
  expect((await client.readRepository(shop, ask())).value).toBeUndefined();
  expect((await client.listCollaborators(shop, ask())).value).toBeUndefined();
  expect((await client.readRole(shop, nameOf(github, "ada"), ask())).value).toBe("none");
  expect((await client.listRepositories(ask())).value).toEqual([]);
  expect(await codeOf(client.readAccount("1", ask()))).toBe("forge.refused");
  expect(await codeOf(client.fetchCredential(shop, ask().signal))).toBe("forge.refused");
});

test("an App that is suspended is refused, which says nothing about anybody's right", async () => {
  await using world = await open();
  const shop = await world.shop();
  suspendInstallation(world.github.world, world.github.installation);
  expect(await codeOf(world.client.readRepository(shop, ask()))).toBe("forge.refused");
  expect(await codeOf(world.client.listRepositories(ask()))).toBe("forge.refused");
  suspendInstallation(world.github.world, world.github.installation, false);
  world.client.readWebhook({}, Buffer.alloc(0));
  await expect
    .poll(() => codeOf(world.client.listRepositories(ask())), { timeout: 5_000 })
    .toMatch(/fine|forge.refused/);
});

test("an App that is denied one repository does not see that one", async () => {
  await using world = await open();
  const shop = await world.shop();
  setInstalled(world.github.world, world.github.installation, { fullName: "acme/shop", isInstalled: false });
  expect((await world.client.readRepository(shop, ask())).value).toBeUndefined();
  expect((await world.client.listRepositories(ask())).value.map(({ name }) => name)).toEqual(["site", "old"]);
});

test("an App whose key is another's is refused; one that is no key is told by the settings", async () => {
  await using world = await open();
  const { settings, secrets } = world.github.configured();
  const { privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2_048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const parts = { settings, clock: makeClock(), log: makeLog("silent"), cache: memoryCache() };
  const stranger = makeGithub({ ...parts, secrets: { ...secrets, credential: privateKey } });
  expect(await codeOf(stranger.listRepositories(ask()))).toBe("forge.refused");
  expect(await stranger.inspect(ask().signal)).toMatchObject([{ isGood: false }]);
  expect(() => makeGithub({ ...parts, secrets: { ...secrets, credential: "no key" } })).toThrow("PEM file");
});

test("fetchCredential() and pushCredential() can fetch and push, and the latter to one repository for an hour", async () => {
  await using world = await open();
  const { github, client } = world;
  const shop = await world.shop();
  const before = Date.now();
  const fetching = await client.fetchCredential(shop, ask().signal);
  expect(fetching).toMatchObject({ username: "x-access-token", password: expect.stringMatching(/^ghs_/) as string });
  const pushing = await client.pushCredential(shop, ask().signal);
  expect(pushing?.password).not.toBe(fetching.password);
  expect(pushing?.expiresAt).toBeLessThanOrEqual(before + 3_660_000);
  const seen = async (name: string, token = "") => {
    const headers = { authorization: `Bearer ${token}` };
    return (await fetch(`${github.apiUrl}/repos/acme/${name}`, { headers })).status;
  };
  expect(await seen("shop", pushing?.password)).toBe(200);
  expect(await seen("old", pushing?.password)).toBe(404);
  expect(await seen("old", fetching.password)).toBe(200);
  await pushing?.revoke?.(ask().signal);
  expect(await seen("shop", pushing?.password)).toBe(401);
  expect(await seen("shop", fetching.password)).toBe(200);
  // One that has ended already is as good as revoked; where nobody answers it is not.
  await pushing?.revoke?.(ask().signal);
  await using away = await github.server.trouble({ type: "refuse" });
  await expect(pushing?.revoke?.(ask().signal)).rejects.toMatchObject({ code: "forge.unreached" });
  await away.end();
});

test("pushCredential() is refused without Contents: write, and there is none with a token", async () => {
  await using reading = await open({
    spec: { app: { permissions: { metadata: "read", contents: "read", members: "read" } } },
  });
  const shop = await reading.shop();
  await expect(reading.client.pushCredential(shop, ask().signal)).rejects.toThrow(
    "Repository permissions → Contents: write",
  );
  await using token = await open({ as: "token" });
  expect(await token.client.pushCredential(await token.shop(), ask().signal)).toBeUndefined();
  expect(await token.client.fetchCredential(await token.shop(), ask().signal)).toMatchObject({
    username: "x-access-token",
    expiresAt: undefined,
  });
});

test("inspect() finds nothing to complain of where all is as it should be", async () => {
  for (const as of WAYS) {
    await using world = await open({ as });
    const findings = await world.client.inspect(ask().signal);
    expect(findings.filter(({ isGood }) => !isGood)).toEqual([]);
    expect(findings.map(({ text }) => text)).toContain("acme shows 3 repositories");
  }
});

test("inspect() names each permission, event, organisation and repository that is missing", async () => {
  const app = { permissions: { metadata: "read" }, events: ["member", "repository"] } as const;
  await using world = await open({
    spec: { app },
    settings: { organizations: ["acme", "elsewhere"], repositories: ["acme/nothing"] },
  });
  const texts = (await world.client.inspect(ask().signal)).filter(({ isGood }) => !isGood).map(({ text }) => text);
  expect(texts).toContain("the App needs Repository permissions → Contents: read");
  expect(texts).toContain("the App needs Organization permissions → Members: read");
  expect(texts).toContain("the App needs Subscribe to events → Membership");
  expect(texts).toContain("the App needs Subscribe to events → Push");
  expect(texts).toContain("the App needs Subscribe to events → Team add");
  expect(texts).toContain("acme has not accepted that the App has Organization permissions → Members: read");
  expect(texts).toContain("elsewhere is not shown to the credential");
  expect(texts).toContain("acme/nothing is not shown to the credential");
});

test("inspect() names the scopes that a classic token lacks, and what a fine-grained one may not", async () => {
  await using world = await open({ as: "token" });
  const { github } = world;
  const inspect = async (token: string) => {
    const parts = { clock: makeClock(), log: makeLog("silent"), cache: memoryCache() };
    const findings = await makeGithub({ ...github.configured(token), ...parts }).inspect(ask().signal);
    return findings.filter(({ isGood }) => !isGood).map(({ text }) => text.replace(/ \(.*$/, ""));
  };
  const missing = await inspect(github.addToken("root", []));
  expect(missing).toContain("the token needs the scope repo to see private repositories and who collaborates on them");
  expect(missing).toContain("the token needs the scope read:org to see who collaborates by way of an organization");
  expect(await inspect("ghp_wrong")).toEqual(["GitHub does not accept the credential"]);
  const permissions = { metadata: "read" } as const;
  const fine = await inspect(github.addFineGrainedToken("root", { owner: "acme", permissions }));
  expect(fine.join("\n")).not.toContain("Metadata");
});

test("every failure of GitHub is a fault, and no answer is made of it", async () => {
  await using world = await open({ as: "token" });
  const { github } = world;
  const shop = await world.shop();
  const ada = nameOf(github, "ada");
  // Nothing is kept, as an answer of 304 has nothing that could be cut off.
  const cache = { read: async () => undefined, write: async () => {} };
  const parts = { clock: makeClock(), log: makeLog("silent"), cache, limits: { retryWaitMs: 5 } };
  const client = makeGithub({ ...github.configured(github.addToken("root")), ...parts });
  const codes = async (): Promise<string[]> => {
    const questions = [
      client.listRepositories(ask()),
      client.readRepository(shop, ask()),
      client.listCollaborators(shop, ask()),
      client.readRole(shop, ada, ask()),
      client.readAccount(ada.id, ask()),
      client.listKeys(ada, ask()),
    ];
    return Promise.all(questions.map(codeOf));
  };
  const all = (code: string): string[] => Array.from({ length: 6 }, () => code);
  for (const trouble of [{ type: "refuse" }, { type: "reset" }, { type: "truncated" }, { type: "garbage" }] as const) {
    const ongoing = await github.server.trouble(trouble);
    expect(await codes(), trouble.type).toEqual(all("forge.unreached"));
    await ongoing.end();
  }
  expect(await codes()).toEqual(all("fine"));
  github.limits.exhaust();
  expect(await codes()).toEqual(all("forge.limited"));
});

test("readWebhook() reads what GitHub sends for each change", async () => {
  await using world = await open();
  const { github, client } = world;
  const shop = await world.shop();
  github.hookApp("http://127.0.0.1:1/");
  const taken: { event: string; hints: unknown }[] = [];
  github.courier.send = (parcel) => {
    const reading = client.readWebhook(parcel.headers("good"), Buffer.from(parcel.body));
    taken.push({ event: parcel.event, hints: reading.type === "hints" ? reading.hints : reading });
    expect(client.readWebhook(parcel.headers("wrong"), Buffer.from(parcel.body)).type).toBe("unsigned");
    expect(client.readWebhook(parcel.headers("absent"), Buffer.from(parcel.body)).type).toBe("unsigned");
  };
  const accountId = nameOf(github, "ada").id;
  const ofShop = { type: "repository", repositoryId: shop.id };
  github.world.removeCollaborator("acme/shop", "ada");
  github.world.setMember("acme", "ada");
  github.world.addTeam("acme/builders");
  github.world.addToTeam("acme/builders", "ada");
  github.world.setTeamPermission("acme/builders", "acme/shop", "push");
  github.world.removeTeamPermission("acme/builders", "acme/shop");
  github.world.removeFromTeam("acme/builders", "ada");
  github.world.deleteTeam("acme/builders");
  github.world.removeMember("acme", "ada");
  github.world.archive("acme/shop");
  github.world.transfer("acme/shop", "eve");
  uninstallApp(github.world, github.installation);
  const hintsOf = (event: string) => taken.filter((entry) => entry.event === event).flatMap(({ hints }) => hints);
  expect(hintsOf("member.removed")).toEqual([{ type: "role", accountId, repositoryId: shop.id }]);
  expect(hintsOf("organization.member_added")).toEqual([{ type: "roles-of", accountId }]);
  expect(hintsOf("team.created")).toEqual([]);
  expect(hintsOf("membership.added")).toEqual([{ type: "roles-of", accountId }]);
  expect(hintsOf("team.added_to_repository")).toEqual([ofShop]);
  expect(hintsOf("team.removed_from_repository")).toEqual([ofShop]);
  expect(hintsOf("membership.removed")).toEqual([{ type: "roles-of", accountId }]);
  expect(hintsOf("team.deleted")).toEqual([{ type: "everything" }]);
  expect(hintsOf("organization.member_removed")).toEqual([{ type: "roles-of", accountId }]);
  expect(hintsOf("repository.archived")).toEqual([ofShop]);
  expect(hintsOf("installation.deleted")).toEqual([{ type: "everything" }]);
});
