import { expect, test } from "vitest";
import { HandClock } from "../../fakes/hand-clock.ts";
import { isList, objectIn, valueAt } from "../lib/json.ts";
import { ask, assertion, installationToken } from "./ask.ts";
import { openGithub, type GithubSpec } from "./github.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1dgUZo4ag6TmOQOqhnGMXVYZlwEIZQpC3x8RJxTz5s";
const SPEC: GithubSpec = {
  org: "acme",
  repos: ["shop", { name: "site", isPrivate: false }],
  people: [
    { login: "root", role: "owner" },
    { login: "ada", name: "Ada", keys: [`${KEY} ada@laptop`], role: "push" },
    { login: "bob", role: "pull" },
    { login: "eve" },
  ],
};

test("openGithub() answers every route that it has with what the description allows", async () => {
  await using github = await openGithub(SPEC);
  github.world.addTeam("acme/builders");
  github.world.addToTeam("acme/builders", "ada");
  github.world.setTeamPermission("acme/builders", "acme/shop", "maintain");
  const root = github.addToken("root", ["repo", "admin:org"]);
  const asRoot = [
    "/orgs/acme",
    "/orgs/acme/repos",
    "/orgs/acme/members",
    "/orgs/acme/outside_collaborators",
    "/orgs/acme/teams",
    "/orgs/acme/teams/builders/members",
    "/orgs/acme/teams/builders/repos",
    "/users/ada",
    "/users/acme",
    "/users/ada/repos",
    "/users/ada/keys",
    "/user",
    `/user/${github.world.user("ada").id}`,
    "/user/repos",
    "/repos/acme/shop",
    `/repositories/${github.world.repository("acme/shop").id}`,
    "/repos/acme/shop/collaborators",
    "/repos/acme/shop/collaborators/ada/permission",
    "/repos/acme/shop/teams",
    "/repos/acme/shop/branches?per_page=1",
    "/rate_limit",
    "/meta",
  ];
  for (const path of asRoot) expect([path, (await ask(github, path, root)).status]).toEqual([path, 200]);
  const jwt = assertion(github);
  const { id } = github.installation;
  for (const path of ["/app", "/app/installations", `/app/installations/${id}`, "/orgs/acme/installation"]) {
    expect([path, (await ask(github, path, jwt)).status]).toEqual([path, 200]);
  }
  expect((await ask(github, "/repos/acme/shop/installation", jwt)).status).toBe(200);
  const token = await installationToken(github);
  expect(valueAt((await ask(github, "/installation/repositories", token)).value, "total_count")).toBe(2);
  expect((await ask(github, "/orgs/acme/members/ada", token)).status).toBe(204);
  expect((await ask(github, "/repos/acme/shop/collaborators/eve", token)).status).toBe(404);
  expect(github.server.violations).toEqual([]);
});

// What is caught.

test("openGithub() answers 500 to what the description does not allow, and throws at the end", async () => {
  const github = await openGithub(SPEC);
  const token = github.addToken("root");
  github.api.spoil("get /users/{username}/keys", () => [{ id: "seven", key: 7 }]);
  expect((await ask(github, "/users/ada/keys", token)).status).toBe(500);
  await expect(github[Symbol.asyncDispose]()).rejects.toThrow(/GET \/users\/ada\/keys .* \/0\/id must be integer/);
});

test("openGithub() answers a member too few, a wrong type, and a body where none is with 500", async () => {
  await using github = await openGithub(SPEC);
  const token = github.addToken("root");
  const spoilt: [string, string, (value: unknown) => unknown][] = [
    ["get /repos/{owner}/{repo}", "/repos/acme/shop", (value) => ({ ...objectIn(value), archived: undefined })],
    ["get /users/{username}", "/users/ada", (value) => ({ ...objectIn(value), unheardOf: 1 })],
    ["get /repos/{owner}/{repo}/collaborators/{username}", "/repos/acme/shop/collaborators/ada", () => ({})],
    ["get /orgs/{org}/members", "/orgs/acme/members", (value) => ({ members: value })],
  ];
  for (const [operation, path, spoiler] of spoilt) {
    github.api.spoil(operation, spoiler);
    expect([path, (await ask(github, path, token)).status]).toEqual([path, 500]);
    expect(github.server.takeViolations()).toHaveLength(1);
    github.api.spoil(operation);
    expect((await ask(github, path, token)).status).toBeLessThan(300);
  }
});

test("openGithub() remembers requests that are no operation, or have parameters that there are not", async () => {
  await using github = await openGithub(SPEC);
  const token = github.addToken("root");
  expect((await ask(github, "/repos/acme/shop/people", token)).status).toBe(404);
  await ask(github, "/orgs/acme/repos?perpage=100", token);
  await ask(github, "/orgs/acme/repos?page=last", token);
  await ask(github, "/orgs/acme/members", token, { method: "DELETE" });
  expect(github.server.takeViolations()).toEqual([
    "GET /repos/acme/shop/people: there is no such operation",
    'GET /orgs/acme/repos: there is no query parameter "perpage"',
    'GET /orgs/acme/repos: query parameter "page": (top) must be integer',
    "DELETE /orgs/acme/members: there is no such operation",
  ]);
});

// Pages and copies.

test("lists come in pages of 30, or of 100 at most, with links by number", async () => {
  await using github = await openGithub(SPEC);
  for (let index = 0; index < 130; index += 1) github.world.addRepository(`acme/r${index}`);
  const token = github.addToken("root");
  const first = await ask(github, "/orgs/acme/repos", token);
  expect(countOf(first.value)).toBe(30);
  const base = `${github.apiUrl}/organizations/${github.world.organization("acme").id}/repos`;
  expect(first.headers.get("link")).toBe(`<${base}?page=2>; rel="next", <${base}?page=5>; rel="last"`);
  let address: string | undefined = "/orgs/acme/repos?per_page=500";
  const names: unknown[] = [];
  for (let pages = 0; address !== undefined; pages += 1) {
    expect(pages).toBeLessThan(2);
    const page = await ask(github, address, token);
    if (isList(page.value)) names.push(...page.value.map((one) => valueAt(one, "name")));
    address = /<([^>]*)>; rel="next"/.exec(page.headers.get("link") ?? "")?.[1];
  }
  expect(new Set(names).size).toBe(132);
});

test("a copy that is still good costs nothing with a token, and its name is another with another token", async () => {
  await using github = await openGithub(SPEC);
  const [one, other] = [github.addToken("root"), github.addToken("root")];
  const first = await ask(github, "/repos/acme/shop", one);
  const etag = first.headers.get("etag") ?? "";
  const again = await ask(github, "/repos/acme/shop", one, { headers: { "if-none-match": etag } });
  expect([again.status, again.text]).toEqual([304, ""]);
  expect(again.headers.get("x-ratelimit-used")).toBe("1");
  const another = await ask(github, "/repos/acme/shop", other, { headers: { "if-none-match": etag } });
  expect([another.status, another.headers.get("x-ratelimit-used")]).toEqual([200, "2"]);
  github.world.archive("acme/shop");
  const changed = await ask(github, "/repos/acme/shop", one, { headers: { "if-none-match": etag } });
  expect([changed.status, valueAt(changed.value, "archived")]).toEqual([200, true]);
  expect(github.server.requests.map(({ status, isCharged }) => [status, isCharged])).toEqual([
    [200, true],
    [304, false],
    [200, true],
    [200, true],
  ]);
  expect(github.server.countRequests().get("GET /repos/{owner}/{repo}")).toBe(4);
});

// Limits.

test("the primary limit is refused with its headers, until the hour ends", async () => {
  const clock = new HandClock();
  await using github = await openGithub({ ...SPEC, clock, limits: { perHour: 2 } });
  const token = github.addToken("root");
  await ask(github, "/orgs/acme", token);
  await ask(github, "/orgs/acme", token);
  expect((await ask(github, "/rate_limit", token)).status).toBe(200);
  const refused = await ask(github, "/orgs/acme", token);
  expect(refused.status).toBe(403);
  expect(valueAt(refused.value, "message")).toMatch(/^API rate limit exceeded for user ID \d+\.$/);
  expect(refused.headers.get("x-ratelimit-remaining")).toBe("0");
  expect(Number(refused.headers.get("x-ratelimit-reset")) * 1_000).toBe(clock.now() + 3_600_000);
  expect((await ask(github, "/orgs/acme", github.addToken("ada"))).status).toBe(200);
  await clock.advance(3_600_000);
  expect((await ask(github, "/orgs/acme", token)).status).toBe(200);
  github.limits.exhaust(429);
  expect((await ask(github, "/orgs/acme", token)).status).toBe(429);
  github.limits.restore();
  expect((await ask(github, "/orgs/acme", token)).status).toBe(200);
});

test("the secondary limit is refused with retry-after: by points a minute, and when switched on", async () => {
  const clock = new HandClock();
  await using github = await openGithub({ ...SPEC, clock, limits: { pointsPerMinute: 3 } });
  const token = github.addToken("root");
  for (let index = 0; index < 3; index += 1) expect((await ask(github, "/orgs/acme", token)).status).toBe(200);
  const refused = await ask(github, "/orgs/acme", token);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([403, "60"]);
  expect(refused.headers.get("x-ratelimit-remaining")).toBe("4997");
  await clock.advance(60_000);
  expect((await ask(github, "/orgs/acme", token)).status).toBe(200);
  github.limits.limitSecondary({ seconds: 5, status: 429 });
  const forced = await ask(github, "/orgs/acme", token);
  expect([forced.status, forced.headers.get("retry-after")]).toEqual([429, "5"]);
});

test("more requests at once than allowed are refused", async () => {
  await using github = await openGithub({ ...SPEC, limits: { atOnce: 3 } });
  const token = github.addToken("root");
  const slowness = await github.server.trouble({ type: "slow", ms: 100 });
  const answers = await Promise.all(Array.from({ length: 5 }, () => ask(github, "/orgs/acme", token)));
  expect(answers.filter(({ status }) => status === 403)).toHaveLength(2);
  expect(slowness.hitCount).toBe(5);
});

// Who may see what.

test("a GitHub App's assertion is believed when it is signed, of now and short", async () => {
  const clock = new HandClock(1_700_000_000_000);
  await using github = await openGithub({ ...SPEC, clock });
  const now = clock.now() / 1_000;
  const cases: [string, string, number][] = [
    ["good", assertion(github), 200],
    ["by client id", assertion(github, { iss: github.app.clientId }), 200],
    ["of another App", assertion(github, { iss: "7" }), 401],
    ["issued in the future", assertion(github, { iat: now + 5 }), 401],
    ["expired", assertion(github, { exp: now }), 401],
    ["for longer than ten minutes", assertion(github, { exp: now + 601 }), 401],
    ["changed after it was signed", assertion(github).replace(/\.[^.]*\./, `.${btoa("{}").replaceAll("=", "")}.`), 401],
    ["a token of a person", github.addToken("root"), 401],
  ];
  for (const [name, token, status] of cases) {
    expect([name, (await ask(github, "/app", token)).status]).toEqual([name, status]);
  }
});

test("a token of an installation ends after an hour, and has what was asked for and no more", async () => {
  const clock = new HandClock(1_700_000_000_000);
  await using github = await openGithub({ ...SPEC, clock });
  const shop = github.world.repository("acme/shop");
  github.world.addRepository("acme/other");
  const token = await installationToken(github, { repository_ids: [shop.id], permissions: { contents: "write" } });
  expect((await ask(github, "/repos/acme/shop", token)).status).toBe(200);
  expect((await ask(github, "/repos/acme/other", token)).status).toBe(404);
  expect((await ask(github, "/orgs/acme/members", token)).status).toBe(403);
  const tokens = `/app/installations/${github.installation.id}/access_tokens`;
  for (const body of [{ permissions: { administration: "write" } }, { repository_ids: [7] }]) {
    const more = { method: "POST", body: JSON.stringify(body) };
    expect((await ask(github, tokens, assertion(github), more)).status).toBe(422);
  }
  await clock.advance(3_599_999);
  expect((await ask(github, "/repos/acme/shop", token)).status).toBe(200);
  await clock.advance(1);
  expect((await ask(github, "/repos/acme/shop", token)).status).toBe(401);
});

test("what a token may not know of is not found, and lists are without it", async () => {
  await using github = await openGithub(SPEC);
  const [full, bare] = [github.addToken("root"), github.addToken("root", [])];
  const statuses = async (path: string): Promise<number[]> =>
    Promise.all(
      [full, bare, github.addToken("eve"), undefined].map(async (token) => (await ask(github, path, token)).status),
    );
  expect(await statuses("/repos/acme/shop")).toEqual([200, 404, 404, 404]);
  expect(await statuses("/repos/acme/site")).toEqual([200, 200, 200, 200]);
  expect(await statuses("/repos/acme/site/collaborators")).toEqual([200, 403, 403, 401]);
  expect(await statuses("/orgs/acme/teams")).toEqual([200, 403, 403, 403]);
  expect(countOf((await ask(github, "/orgs/acme/repos", full)).value)).toBe(2);
  expect(countOf((await ask(github, "/orgs/acme/repos", bare)).value)).toBe(1);
  expect((await ask(github, "/user", full)).headers.get("x-oauth-scopes")).toBe("repo, read:org");
  expect((await ask(github, "/user", "ghp_nonsense")).status).toBe(401);
  github.world.suspend("root");
  expect((await ask(github, "/user", full)).status).toBe(403);
});

test("a repository that was renamed or moved is found by a redirect, until its name is taken", async () => {
  await using github = await openGithub(SPEC);
  const token = github.addToken("root");
  const { id } = github.world.repository("acme/shop");
  github.world.renameRepository("acme/shop", "store");
  const moved = await ask(github, "/repos/acme/shop/collaborators?per_page=100", token);
  expect(moved.status).toBe(301);
  expect(moved.headers.get("location")).toBe(`${github.apiUrl}/repositories/${id}/collaborators?per_page=100`);
  expect((await ask(github, moved.headers.get("location") ?? "", token)).status).toBe(200);
  github.world.addOrganization("other");
  github.world.transfer("acme/store", "other");
  github.world.setMember("other", "root", "admin");
  expect((await ask(github, "/repos/acme/shop", token)).status).toBe(301);
  expect((await ask(github, "/repos/acme/store", token)).status).toBe(301);
  github.world.addRepository("acme/shop");
  expect(valueAt((await ask(github, "/repos/acme/shop", token)).value, "id")).not.toBe(id);
  expect((await ask(github, "/repos/acme/shop", await installationToken(github))).status).toBe(200);
  expect((await ask(github, `/repositories/${id}`, await installationToken(github))).status).toBe(404);
});

test("a login that was given up and registered anew is another account", async () => {
  await using github = await openGithub(SPEC);
  const token = github.addToken("root");
  const first = github.world.user("ada").id;
  github.world.renameOwner("ada", "ada-lovelace");
  expect((await ask(github, "/users/ada", token)).status).toBe(404);
  const second = github.world.addUser({ login: "ada" }).id;
  expect(valueAt((await ask(github, "/users/ada", token)).value, "id")).toBe(second);
  expect(valueAt((await ask(github, `/user/${first}`, token)).value, "login")).toBe("ada-lovelace");
  github.world.suspend("ada-lovelace");
  expect((await ask(github, `/user/${first}`, token)).status).toBe(404);
});

test("an enterprise's server shows suspended people as such, below its own prefix", async () => {
  await using github = await openGithub({ ...SPEC, edition: "enterprise" });
  const token = github.addToken("root");
  github.world.suspend("ada");
  expect(github.apiUrl).toMatch(/\/api\/v3$/);
  expect(valueAt((await ask(github, "/users/ada", token)).value, "suspended_at")).toMatch(/^20/);
  expect(valueAt((await ask(github, "/users/bob", token)).value, "suspended_at")).toBeNull();
});

function countOf(value: unknown): number {
  return isList(value) ? value.length : -1;
}
