import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { type Flavor, GiteaServer } from "../../../test/forges/gitea/gitea-server.ts";
import { GiteaWorld, type HookEvent } from "../../../test/forges/gitea/world.ts";
import { makeClock } from "../../base/clock.ts";
import type { ForgeSettings } from "../../wire/forge-settings.ts";
import { readGiteaWebhook } from "./webhooks.ts";

const SETTINGS: ForgeSettings = {
  name: "tea",
  type: "gitea",
  url: "https://gitea.invalid",
  apiUrl: "https://gitea.invalid/api/v1",
  credential: { type: "token", token: { env: "TOKEN" } },
  organizations: ["acme"],
  repositories: [],
  minimumRole: "write",
  graceMs: 0,
  pollMs: 30_000,
};
const CONTEXT = { secret: "hush", settings: SETTINGS };

function sign(text: string, secret = "hush"): string {
  return createHmac("sha256", secret).update(text).digest("hex");
}

function read(
  text: string,
  headers: Record<string, string> = { "x-gitea-signature": sign(text), "x-gitea-event": "repository" },
) {
  return readGiteaWebhook(headers, Buffer.from(text), CONTEXT);
}

test.each<Flavor>(["gitea", "forgejo"])("readGiteaWebhook() reads what a %s sends of repositories", async (flavor) => {
  const world = new GiteaWorld();
  await using server = await GiteaServer.open(world, makeClock());
  const events: HookEvent[] = [];
  world.onEvent((event) => events.push(event));
  const ada = world.addUser("ada");
  const shop = world.addRepository("shop", world.addOrganization("acme", ada));
  const notes = world.addRepository("notes", ada);
  world.removeRepository(shop);
  const readings = events.map((event) => {
    const { headers, body } = server.hookOf(event, "hush", flavor);
    const twice = [readGiteaWebhook(headers, body, CONTEXT), readGiteaWebhook(headers, body, CONTEXT)];
    expect(twice[1]).toEqual(twice[0]);
    return twice[0];
  });
  const hint = { type: "repository", repositoryId: String(shop.id) };
  expect(readings).toEqual([
    { type: "hints", hints: [hint, { type: "everything" }] },
    { type: "hints", hints: [{ type: "repository", repositoryId: String(notes.id) }] },
    { type: "hints", hints: [hint] },
  ]);
});

test("readGiteaWebhook() reads a webhook that comes as a form, whose JSON is signed", () => {
  const payload = JSON.stringify({
    action: "deleted",
    repository: { id: 7, name: "shop", owner: { id: 3, login: "acme" }, private: true, archived: false },
  });
  const body = Buffer.from(new URLSearchParams({ payload }).toString());
  const headers = { "content-type": "application/x-www-form-urlencoded", "x-gitea-event": "repository" };
  const good = readGiteaWebhook({ ...headers, "x-gitea-signature": sign(payload) }, body, CONTEXT);
  expect(good).toEqual({ type: "hints", hints: [{ type: "repository", repositoryId: "7" }] });
  const wrong = readGiteaWebhook({ ...headers, "x-gitea-signature": sign(body.toString()) }, body, CONTEXT);
  expect(wrong).toEqual({ type: "unsigned" });
});

test.each<[what: string, headers: Record<string, string>]>([
  ["no signature", {}],
  ["an empty signature", { "x-gitea-signature": "" }],
  ["another secret's signature", { "x-gitea-signature": sign("{}", "other") }],
  ["another body's signature", { "x-gitea-signature": sign("{ }") }],
  ["half a signature", { "x-gitea-signature": sign("{}").slice(0, 32) }],
  ["a signature of another kind", { "x-gitea-signature": `sha256=${sign("{}")}` }],
])("readGiteaWebhook() says that a webhook with %s is unsigned", (_, headers) => {
  expect(read("{}", { ...headers, "x-gitea-event": "repository" })).toEqual({ type: "unsigned" });
});

test("readGiteaWebhook() takes none without a secret", () => {
  const headers = { "x-gitea-signature": sign("{}"), "x-gitea-event": "push" };
  const context = { secret: undefined, settings: SETTINGS };
  expect(readGiteaWebhook(headers, Buffer.from("{}"), context)).toEqual({ type: "unsigned" });
});

test.each(["issues", "pull_request", "a_new_one"])("readGiteaWebhook() takes no hint from %s", (event) => {
  const text = JSON.stringify({ action: "opened", repository: "x" });
  expect(read(text, { "x-gitea-signature": sign(text), "x-gitea-event": event })).toEqual({ type: "hints", hints: [] });
});

test("readGiteaWebhook() tells of a push", () => {
  const text = JSON.stringify({ ref: "refs/heads/main", repository: { id: 7 } });
  const hints = [{ type: "pushed", repositoryId: "7" }];
  expect(read(text, { "x-gitea-signature": sign(text), "x-gitea-event": "push" })).toEqual({ type: "hints", hints });
});

test.each([
  ["no JSON", "{"],
  ["a list", "[]"],
  ["a repository event without a repository", '{"action":"deleted"}'],
  ["a repository without a number", '{"action":"deleted","repository":{"id":"7"}}'],
])("readGiteaWebhook() says that %s is malformed", (_, text) => {
  expect(read(text)).toMatchObject({ type: "malformed" });
});

test("readGiteaWebhook() says that what does not name its event is malformed", () => {
  expect(read("{}", { "x-gitea-signature": sign("{}") })).toMatchObject({ type: "malformed" });
});
