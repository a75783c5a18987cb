import { createSign } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { HandClock } from "../../fakes/hand-clock.ts";
import { objectIn, parseJson, valueAt } from "../lib/json.ts";
import { openGithub, type Github, type GithubSpec } from "./github.ts";

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
    "/rate_limit",
    "/meta",
  ];
  for (const path of asRoot) expect([path, (await ask(github, path, root)).status]).toEqual([path, 200]);
  const jwt = assertion(github, {});
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

interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly value: unknown;
}

async function ask(github: Github, path: string, token?: string, more: RequestInit = {}): Promise<Asked> {
  const url = path.startsWith("http") ? path : github.apiUrl + path;
  const headers = {
    "user-agent": "slipway-test",
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(more.headers as Record<string, string> | undefined),
  };
  const response = await fetch(url, { redirect: "manual", ...more, headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, value: parseJson(text) };
}

function assertion(github: Github, claims: Record<string, unknown>, key = github.app.privateKey): string {
  const now = Math.floor(github.world.now() / 1_000);
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const payload = { iat: now - 60, exp: now + 540, iss: String(github.app.id), ...claims };
  const text = `${encode({ alg: "RS256", typ: "JWT" })}.${encode(payload)}`;
  return `${text}.${createSign("RSA-SHA256").update(text).sign(key, "base64url")}`;
}

async function installationToken(github: Github, body?: unknown): Promise<string> {
  const path = `/app/installations/${github.installation.id}/access_tokens`;
  const more = { method: "POST", ...(body !== undefined && { body: JSON.stringify(body) }) };
  const answer = await ask(github, path, assertion(github, {}), more);
  expect(answer.status).toBe(201);
  return String(objectIn(answer.value)["token"]);
}
