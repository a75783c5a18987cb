import { createHmac } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { expect, test } from "vitest";
import { HandClock } from "../../fakes/hand-clock.ts";
import { parseJson, valueAt } from "../lib/json.ts";
import { installApp, setInstalled, setInstalledPermissions, suspendInstallation, uninstallApp } from "./apps.ts";
import { openGithub, WEBHOOK_SECRET, type Github, type GithubSpec } from "./github.ts";

const SPEC: GithubSpec = {
  org: "acme",
  repos: ["shop", "site"],
  people: [{ login: "root", role: "owner" }, { login: "ada" }, { login: "bob" }],
};

test("hooks tell of every change that GitHub tells of, with payloads as described, and of no other", async () => {
  await using github = await openGithub(SPEC);
  await using inbox = await openInbox();
  github.hookApp(inbox.url);
  const { world, installation } = github;
  const told = async (change: () => void): Promise<string[]> => {
    inbox.received.length = 0;
    change();
    await github.courier.settled();
    return inbox.received.map(({ event }) => event).sort();
  };
  const changes: [() => void, ...string[]][] = [
    [() => world.setCollaborator("acme/shop", "ada", "push"), "member.added"],
    [() => world.setCollaborator("acme/shop", "ada", "pull"), "member.edited"],
    [() => world.removeCollaborator("acme/shop", "ada"), "member.removed"],
    [() => world.setMember("acme", "ada"), "organization.member_added"],
    [() => world.setMember("acme", "ada", "admin")],
    [() => world.addTeam("acme/builders"), "team.created"],
    [() => world.addToTeam("acme/builders", "ada"), "membership.added"],
    [() => world.setTeamPermission("acme/builders", "acme/shop", "push"), "team.added_to_repository", "team_add"],
    [() => world.setTeamPermission("acme/builders", "acme/shop", "pull"), "team.edited"],
    [() => world.removeTeamPermission("acme/builders", "acme/shop"), "team.removed_from_repository"],
    [() => world.removeFromTeam("acme/builders", "ada"), "membership.removed"],
    [() => world.deleteTeam("acme/builders"), "team.deleted"],
    [() => world.removeMember("acme", "ada"), "organization.member_removed"],
    [() => world.addRepository("acme/new"), "repository.created"],
    [() => world.archive("acme/new"), "repository.archived"],
    [() => world.archive("acme/new", false), "repository.unarchived"],
    [() => world.setPrivate("acme/new", false), "repository.publicized"],
    [() => world.setPrivate("acme/new", true), "repository.privatized"],
    [() => world.renameRepository("acme/new", "newer"), "repository.renamed"],
    [() => world.deleteRepository("acme/newer"), "repository.deleted"],
    [
      () => setInstalled(world, installation, { fullName: "acme/shop", isInstalled: false }),
      "installation_repositories.removed",
    ],
    [() => world.setCollaborator("acme/shop", "bob", "pull")],
    [
      () => setInstalled(world, installation, { fullName: "acme/shop", isInstalled: true }),
      "installation_repositories.added",
    ],
    [() => setInstalledPermissions(world, installation, { metadata: "read" }), "installation.new_permissions_accepted"],
    [() => world.setMember("acme", "bob")],
    [() => suspendInstallation(world, installation), "installation.suspend"],
    [() => world.archive("acme/shop")],
    [() => suspendInstallation(world, installation, false), "installation.unsuspend"],
    [() => world.addKey("bob", "ssh-ed25519 AAAA")],
    [() => world.suspend("bob")],
    [() => world.renameOwner("bob", "robert")],
    [() => world.setBasePermission("acme", "read")],
    [() => world.transfer("acme/site", "ada"), "installation_repositories.removed"],
    [() => world.renameOwner("acme", "acme2"), "installation_target.renamed"],
    [() => uninstallApp(world, installation), "installation.deleted"],
    [() => world.setCollaborator("acme2/shop", "ada", "pull")],
    [() => installApp(world, { app: github.app, on: "ada" }), "installation.created"],
    [() => world.deleteOwner("acme2")],
  ];
  for (const [change, ...events] of changes)
    expect([change.toString(), await told(change)]).toEqual([change.toString(), events]);
  expect(github.server.violations).toEqual([]);
});

test("a webhook is signed over its bytes, and says what it is", async () => {
  await using github = await openGithub(SPEC);
  await using inbox = await openInbox();
  github.hookApp(inbox.url);
  github.world.setCollaborator("acme/shop", "ada", "push");
  await github.courier.settled();
  const [one] = inbox.received;
  const signature = createHmac("sha256", WEBHOOK_SECRET)
    .update(one?.body ?? "")
    .digest("hex");
  expect(one?.headers).toMatchObject({
    "x-github-event": "member",
    "x-hub-signature-256": `sha256=${signature}`,
    "x-github-hook-installation-target-type": "integration",
    "content-type": "application/json",
  });
  expect(valueAt(parseJson(one?.body ?? ""), "installation", "id")).toBe(github.installation.id);
  expect(github.courier.deliveries).toMatchObject([{ event: "member.added", status: 202 }]);
});

test("hooks of an organisation and of a repository are told of what is theirs", async () => {
  await using github = await openGithub(SPEC);
  await using inbox = await openInbox();
  github.hooks.add({ url: inbox.url, secret: "one", of: "acme" });
  github.hooks.add({ url: inbox.url, secret: "other", of: "acme/shop" });
  github.world.archive("acme/shop");
  github.world.archive("acme/site");
  github.world.setMember("acme", "bob");
  await github.courier.settled();
  const types = inbox.received.map(
    ({ event, headers }) => `${event} ${String(headers["x-github-hook-installation-target-type"])}`,
  );
  expect(types.sort()).toEqual([
    "organization.member_added organization",
    "repository.archived organization",
    "repository.archived organization",
    "repository.archived repository",
  ]);
});

test("treat() delays, doubles, loses and forges, hold() and release() turn the order around", async () => {
  const clock = new HandClock();
  await using github = await openGithub({ ...SPEC, clock });
  await using inbox = await openInbox();
  github.hookApp(inbox.url);
  const { courier, world } = github;
  courier.treat({ delayMs: 3_000, copyCount: 2 });
  world.archive("acme/shop");
  await clock.advance(2_999);
  expect(inbox.received).toEqual([]);
  await clock.advance(1);
  await courier.settled();
  expect(inbox.received).toHaveLength(2);
  expect(new Set(inbox.received.map(({ headers }) => headers["x-github-delivery"])).size).toBe(1);
  courier.treat({ loses: ({ event }) => event === "repository.unarchived" });
  world.archive("acme/shop", false);
  await courier.settled();
  expect(inbox.received).toHaveLength(2);
  courier.treat({ signature: "wrong" });
  world.archive("acme/shop");
  courier.treat({ signature: "absent" });
  github.hooks.send("ping", { zen: "Keep it logically awesome.", hook_id: 1 });
  await courier.settled();
  const [forged, bare] = inbox.received.slice(2).sort((a, b) => (a.event < b.event ? 1 : -1));
  const good = createHmac("sha256", WEBHOOK_SECRET)
    .update(forged?.body ?? "")
    .digest("hex");
  expect(forged?.headers["x-hub-signature-256"]).toMatch(/^sha256=[0-9a-f]{64}$/);
  expect(forged?.headers["x-hub-signature-256"]).not.toBe(`sha256=${good}`);
  expect([bare?.event, bare?.headers["x-hub-signature-256"]]).toEqual(["ping", undefined]);
  courier.treat({});
  courier.hold();
  world.setCollaborator("acme/shop", "ada", "push");
  world.removeCollaborator("acme/shop", "ada");
  courier.release("reversed");
  await courier.settled();
  expect(inbox.received.slice(4).map(({ event }) => event)).toEqual(["member.removed", "member.added"]);
  github.hooks.redeliver(String(inbox.received[0]?.headers["x-github-delivery"]));
  await courier.settled();
  expect(inbox.received.at(-1)).toEqual({ ...inbox.received[0], headers: expect.anything() as unknown });
});

test("hooks refuse to send what the description does not allow", async () => {
  await using github: Github = await openGithub(SPEC);
  await using inbox = await openInbox();
  github.hookApp(inbox.url);
  github.world.repository("acme/shop").name = 7 as unknown as string;
  github.world.archive("acme/site");
  github.world.tell({ name: "repository", action: "archived", repository: github.world.repository("acme/shop") });
  expect(github.server.takeViolations()).toMatchObject([/^webhook repository-archived: .*name/]);
});

interface Received {
  readonly event: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function openInbox(): Promise<{ url: string; received: Received[] } & AsyncDisposable> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      const action = valueAt(parseJson(body), "action");
      const name = String(request.headers["x-github-event"]);
      received.push({ event: typeof action === "string" ? `${name}.${action}` : name, headers: request.headers, body });
      response.writeHead(202).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  return {
    ...{ url: `http://127.0.0.1:${port}/webhooks/github`, received },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
