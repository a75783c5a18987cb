import { createServer } from "node:http";
import { expect, test } from "vitest";
import { GitlabServer, hookOf } from "../../../test/forges/gitlab/gitlab-server.ts";
import { GitlabWorld, type HookEvent } from "../../../test/forges/gitlab/world.ts";
import { makeClock } from "../../base/clock.ts";
import type { Hint, WebhookReading } from "../forge-client.ts";
import { readGitlabWebhook, type WebhookContext } from "./webhooks.ts";

const CONTEXT: WebhookContext = {
  secret: "hush",
  settings: {
    name: "lab",
    type: "gitlab",
    url: "https://gitlab.invalid",
    apiUrl: "https://gitlab.invalid/api/v4",
    credential: { type: "token", token: { env: "TOKEN" } },
    organizations: ["acme"],
    repositories: [],
    minimumRole: "write",
    graceMs: 0,
    pollMs: 30_000,
  },
  idOfLogin: (login) => (login === "ada" ? "7" : undefined),
};

function read(body: unknown, headers: Record<string, string> = { "x-gitlab-token": "hush" }): WebhookReading {
  return readGitlabWebhook(headers, Buffer.from(JSON.stringify(body)), CONTEXT);
}

/** What the world's events from a change hint at, each by its real request. */
function hintsOf(world: GitlabWorld, change: () => void): Hint[] {
  const events: HookEvent[] = [];
  const stop = world.onEvent((event) => events.push(event));
  change();
  stop();
  return events.flatMap((event) => {
    const { headers, body } = hookOf(event, "hush");
    const reading = readGitlabWebhook(headers, body, CONTEXT);
    if (reading.type !== "hints") throw new Error(`Cannot read ${JSON.stringify(event)}: ${JSON.stringify(reading)}`);
    return reading.hints;
  });
}

test("readGitlabWebhook() hints at a role for each change of a project's member", () => {
  const world = new GitlabWorld();
  const [acme, ada] = [world.addGroup("acme"), world.addUser("ada")];
  const shop = world.addProject("shop", acme);
  const hint = { type: "role", accountId: String(ada.id), repositoryId: String(shop.id) };
  expect(hintsOf(world, () => world.setMember(shop, ada, 30))).toEqual([hint]);
  expect(hintsOf(world, () => world.setMember(shop, ada, 10))).toEqual([hint]);
  expect(hintsOf(world, () => world.removeMember(shop, ada))).toEqual([hint]);
});

test("readGitlabWebhook() hints at all roles of somebody for each change of a group's member", () => {
  const world = new GitlabWorld();
  const [acme, ada] = [world.addGroup("acme"), world.addUser("ada")];
  const hint = { type: "roles-of", accountId: String(ada.id) };
  expect(hintsOf(world, () => world.setMember(acme, ada, 30))).toEqual([hint]);
  expect(hintsOf(world, () => world.setMember(acme, ada, 10))).toEqual([hint]);
  expect(hintsOf(world, () => world.removeMember(acme, ada))).toEqual([hint]);
});

test("readGitlabWebhook() hints at the account for renaming, removal and a blocked sign-in", () => {
  const world = new GitlabWorld();
  const ada = world.addUser("ada");
  const hint = { type: "account", accountId: String(ada.id) };
  expect(hintsOf(world, () => world.renameUser(ada, "countess"))).toEqual([hint]);
  world.setState(ada, "blocked");
  expect(hintsOf(world, () => world.signInFailed(ada))).toEqual([hint]);
  expect(hintsOf(world, () => world.removeUser(ada))).toEqual([hint]);
  expect(read({ event_name: "user_block", user_id: 7 })).toEqual({
    type: "hints",
    hints: [{ type: "account", accountId: "7" }],
  });
});

test("readGitlabWebhook() finds whose key it is by name, and asks everything about a removed key of nobody known", () => {
  const world = new GitlabWorld();
  const [ada, stranger] = [world.addUser("ada"), world.addUser("stranger")];
  const line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKJq";
  const key = world.addKey(ada, line);
  expect(hintsOf(world, () => world.removeKey(ada, key))).toEqual([{ type: "account", accountId: "7" }]);
  expect(hintsOf(world, () => world.addKey(ada, line))).toEqual([{ type: "account", accountId: "7" }]);
  expect(hintsOf(world, () => world.addKey(stranger, line))).toEqual([]);
  expect(hintsOf(world, () => world.removeKey(stranger, stranger.keys[0]!))).toEqual([{ type: "everything" }]);
});

test("readGitlabWebhook() hints at the project for its events, and at everything when it may be newly connected", () => {
  const world = new GitlabWorld();
  const [acme, other] = [world.addGroup("acme"), world.addGroup("other")];
  const shop = world.addProject("shop", acme);
  const hint = { type: "repository", repositoryId: String(shop.id) };
  expect(hintsOf(world, () => world.archive(shop))).toEqual([hint]);
  expect(hintsOf(world, () => world.transfer(shop, other))).toEqual([hint]);
  expect(hintsOf(world, () => world.transfer(shop, acme))).toEqual([hint, { type: "everything" }]);
  expect(hintsOf(world, () => world.renameProject(shop, "store"))).toEqual([hint, { type: "everything" }]);
  expect(hintsOf(world, () => world.removeProject(shop))).toEqual([hint]);
  expect(hintsOf(world, () => world.renameGroup(acme, "umbrella"))).toEqual([{ type: "everything" }]);
});

test("readGitlabWebhook() says that what has no token, another token, or no secret to compare it with is unsigned", () => {
  const body = { event_name: "user_destroy", user_id: 7 };
  expect(read(body, {})).toEqual({ type: "unsigned" });
  expect(read(body, { "x-gitlab-token": "hush!" })).toEqual({ type: "unsigned" });
  expect(read(body, { "x-gitlab-token": "" })).toEqual({ type: "unsigned" });
  const headers = { "x-gitlab-token": "hush" };
  expect(readGitlabWebhook(headers, Buffer.from("{}"), { ...CONTEXT, secret: undefined })).toEqual({
    type: "unsigned",
  });
});

test("readGitlabWebhook() reads the same from a replayed webhook", () => {
  const body = { event_name: "user_remove_from_group", user_id: 7, group_id: 3 };
  expect(read(body)).toEqual({ type: "hints", hints: [{ type: "roles-of", accountId: "7" }] });
  expect(read(body)).toEqual(read(body));
});

test.each([
  ["a tag", { object_kind: "tag_push", event_name: "tag_push", project_id: 15 }],
  ["an event without a name", { object_kind: "note" }],
  ["an event that nobody knows", { event_name: "weather_change", user_id: "x" }],
  ["a name that objects have by themselves", { event_name: "constructor" }],
])("readGitlabWebhook() takes no hint from %s", (_, body) => {
  expect(read(body)).toEqual({ type: "hints", hints: [] });
});

test("readGitlabWebhook() tells of a push", () => {
  const hints = [{ type: "pushed", repositoryId: "15" }];
  expect(read({ object_kind: "push", event_name: "push", project_id: 15 })).toEqual({ type: "hints", hints });
});

test.each([
  ["no JSON", "{"],
  ["a list", "[]"],
  ["null", "null"],
  ["a member without a project", '{"event_name":"user_add_to_team","user_id":7}'],
  ["a number in a text", '{"event_name":"user_destroy","user_id":"7"}'],
  ["a number that is none", '{"event_name":"user_destroy","user_id":-1}'],
  ["a key without a name", '{"event_name":"key_destroy"}'],
])("readGitlabWebhook() says that %s is malformed", (_, text) => {
  const reading = readGitlabWebhook({ "x-gitlab-token": "hush" }, Buffer.from(text), CONTEXT);
  expect(reading).toMatchObject({ type: "malformed" });
});

test("GitlabServer sends system hooks over HTTP, signed as told", async () => {
  const world = new GitlabWorld();
  const readings: WebhookReading[] = [];
  const receiver = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      readings.push(readGitlabWebhook(request.headers, Buffer.concat(chunks), CONTEXT));
      response.end();
    })();
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const address = receiver.address();
  if (address === null || typeof address === "string") throw new Error("Cannot go on: no port");
  await using server = await GitlabServer.open(world, makeClock());
  server.sendHooksTo(`http://127.0.0.1:${address.port}/`, "hush");
  const ada = world.addUser("ada");
  await server.courier.settled();
  server.courier.treat({ signature: "wrong" });
  world.renameUser(ada, "countess");
  await server.courier.settled();
  server.courier.treat({ copyCount: 2 });
  world.removeUser(ada);
  await server.courier.settled();
  receiver.close();
  const hints = [{ type: "account", accountId: String(ada.id) }];
  expect(readings).toEqual([
    { type: "hints", hints: [] },
    { type: "unsigned" },
    { type: "hints", hints },
    { type: "hints", hints },
  ]);
});
