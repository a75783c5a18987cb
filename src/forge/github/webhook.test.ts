import { createHmac } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";

import { readWebhook } from "./webhook.ts";

const SECRET = "a secret of the webhook";

function signed(event: string, body: string, secret = SECRET) {
  const signature = createHmac("sha256", secret).update(body).digest("hex");
  return { "x-github-event": event, "x-hub-signature-256": `sha256=${signature}` };
}

function read(event: string, payload: unknown) {
  const body = JSON.stringify(payload);
  return readWebhook(signed(event, body), Buffer.from(body), SECRET);
}

const repository = { id: 7, full_name: "acme/shop" };
const ada = { id: 3, login: "ada" };
const everything = { type: "everything" };
const ofRepository = { type: "repository", repositoryId: "7" };
const ofRole = { type: "role", accountId: "3", repositoryId: "7" };
const rolesOfAda = { type: "roles-of", accountId: "3" };

test.each([
  ["member", { action: "removed", member: ada, repository }, [ofRole]],
  ["member", { action: "edited", member: ada, repository, changes: {} }, [ofRole]],
  ["membership", { action: "removed", scope: "team", member: ada, team: { id: 9 } }, [rolesOfAda]],
  ["team", { action: "removed_from_repository", team: { id: 9 }, repository }, [ofRepository]],
  ["team", { action: "edited", team: { id: 9 }, repository }, [ofRepository]],
  ["team", { action: "edited", team: { id: 9 } }, [everything]],
  ["team", { action: "deleted", team: { id: 9 } }, [everything]],
  ["team", { action: "created", team: { id: 9 } }, []],
  ["team_add", { team: { id: 9 }, repository }, [ofRepository]],
  ["organization", { action: "member_removed", membership: { user: ada } }, [rolesOfAda]],
  ["organization", { action: "member_removed", membership: { user: null } }, [everything]],
  ["organization", { action: "member_invited", invitation: {} }, []],
  ["organization", { action: "renamed", organization: { id: 1 } }, [everything]],
  ["organization", { action: "made-up-later" }, [everything]],
  ["org_block", { action: "blocked", blocked_user: ada }, [rolesOfAda]],
  ["repository", { action: "archived", repository }, [ofRepository]],
  ["repository", { action: "deleted", repository }, [ofRepository]],
  ["repository", { action: "privatized", repository }, [ofRepository]],
  ["repository", { action: "transferred", repository, changes: {} }, [ofRepository, everything]],
  ["repository", { action: "created", repository }, [ofRepository, everything]],
  ["public", { repository }, [ofRepository]],
  ["installation", { action: "deleted", installation: { id: 1 } }, [everything]],
  ["installation_repositories", { repositories_added: [], repositories_removed: [repository] }, [ofRepository]],
  ["installation_repositories", { repositories_added: [repository], repositories_removed: [] }, [everything]],
  ["installation_target", { action: "renamed" }, [everything]],
  ["meta", { action: "deleted", hook_id: 1 }, [everything]],
  ["push", { ref: "refs/heads/main", repository }, [{ type: "pushed", repositoryId: ofRepository.repositoryId }]],
  ["ping", { zen: "Keep it logically awesome." }, []],
  ["github_app_authorization", { action: "revoked", sender: ada }, []],
  ["made-up-later", { anything: true }, []],
])("readWebhook() reads %s %j as a reason to ask", (event, payload, hints) => {
  expect(read(event, payload)).toEqual({ type: "hints", hints });
});

test.each([
  ["member", { action: "removed", repository }, "member: member"],
  ["member", { action: "removed", member: { id: "3" }, repository }, "member: member.id"],
  ["organization", { action: "member_removed" }, "organization: membership"],
  ["repository", { action: "archived" }, "repository: repository"],
  ["membership", [], "membership: "],
  ["team", null, "team: "],
])("readWebhook() calls %s %j malformed", (event, payload, why) => {
  const reading = read(event, payload);
  expect(reading.type === "malformed" && reading.why).toContain(why);
});

test("readWebhook() calls a signed body that is no JSON malformed", () => {
  const body = "payload=%7B%7D";
  expect(readWebhook(signed("member", body), Buffer.from(body), SECRET)).toEqual({
    type: "malformed",
    why: "member: the body is not JSON",
  });
  const { "x-hub-signature-256": signature } = signed("", body);
  expect(readWebhook({ "x-hub-signature-256": signature }, Buffer.from(body), SECRET).type).toBe("malformed");
});

test("readWebhook() takes nothing that the secret did not sign", () => {
  const body = JSON.stringify({ action: "removed", member: ada, repository });
  const good = signed("member", body);
  const bytes = Buffer.from(body);
  expect(readWebhook(good, bytes, SECRET).type).toBe("hints");
  const bad = [
    signed("member", body, "another"),
    { ...good, "x-hub-signature-256": good["x-hub-signature-256"].replace("sha256", "sha1") },
    { ...good, "x-hub-signature-256": good["x-hub-signature-256"].slice(0, -2) },
    { ...good, "x-hub-signature-256": `${good["x-hub-signature-256"]}, ${good["x-hub-signature-256"]}` },
    { ...good, "x-hub-signature-256": "sha256=" },
    { "x-github-event": "member" },
  ];
  for (const headers of bad) expect(readWebhook(headers, bytes, SECRET)).toEqual({ type: "unsigned" });
  expect(readWebhook(good, Buffer.from(`${body} `), SECRET)).toEqual({ type: "unsigned" });
  for (const secret of [undefined, ""]) {
    expect(readWebhook(signed("member", body, secret ?? ""), bytes, secret)).toEqual({ type: "unsigned" });
  }
});

test("readWebhook() verifies the example of GitHub's documentation", () => {
  const headers = {
    "x-github-event": "ping",
    "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
  };
  expect(readWebhook(headers, Buffer.from("Hello, World!"), "It's a Secret to Everybody").type).toBe("hints");
});

test("readWebhook() never throws, whatever is signed", () => {
  const events = [
    "member",
    "membership",
    "team",
    "organization",
    "org_block",
    "repository",
    "installation_repositories",
  ];
  fc.assert(
    fc.property(fc.constantFrom(...events), fc.jsonValue(), (event, payload) => {
      expect(["hints", "malformed"]).toContain(read(event, payload).type);
    }),
  );
});
