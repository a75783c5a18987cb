import { createConnection } from "node:net";
import { expect, test } from "vitest";
import { HandClock } from "../../fakes/hand-clock.ts";
import { until } from "../../harness/wait.ts";
import { valueAt } from "../lib/json.ts";
import type { Trouble } from "../lib/troubles.ts";
import { ask } from "./ask.ts";
import { openGithub, type GithubSpec } from "./github.ts";

const SPEC: GithubSpec = { org: "acme", repos: ["shop"], people: [{ login: "root", role: "owner" }], app: false };

test("trouble() refuses connections, and lets them in again at the same port when it ends", async () => {
  await using github = await openGithub(SPEC);
  const token = github.addToken("root");
  const outage = await github.server.trouble({ type: "refuse" });
  const { port } = new URL(github.apiUrl);
  const knock = () =>
    new Promise((resolve) => {
      createConnection(Number(port), "127.0.0.1").once("error", (error) => resolve(Reflect.get(error, "code")));
    });
  // A child of another thread has the socket, too, until it comes to its program: one that connects then is reset.
  await until("connections to be refused", async () => (await knock()) === "ECONNREFUSED");
  await outage.end();
  expect((await ask(github, "/orgs/acme", token)).status).toBe(200);
});

test.each<[string, Trouble]>([
  ["resets a connection", { type: "reset" }],
  ["cuts a body short", { type: "truncated" }],
  ["promises more than there is", { type: "wrong-length", byBytes: 5 }],
])("trouble() %s, which a client sees as a failure", async (_, trouble) => {
  await using github = await openGithub(SPEC);
  const token = github.addToken("root");
  const ongoing = await github.server.trouble(trouble);
  await expect(ask(github, "/orgs/acme", token)).rejects.toThrow();
  await ongoing.end();
  expect((await ask(github, "/orgs/acme", token)).status).toBe(200);
});

test("trouble() answers nothing until it ends, and then ends the connection", async () => {
  await using github = await openGithub(SPEC);
  const ongoing = await github.server.trouble({ type: "hang" });
  const asked = ask(github, "/orgs/acme", github.addToken("root"));
  const failed = expect(asked).rejects.toThrow();
  await expect.poll(() => ongoing.hitCount).toBe(1);
  await ongoing.end();
  await failed;
  expect(github.server.requests.map(({ status }) => status)).toEqual([undefined]);
});

test("trouble() answers late, by the clock of the test", async () => {
  const clock = new HandClock();
  await using github = await openGithub({ ...SPEC, clock });
  const ongoing = await github.server.trouble({ type: "slow", ms: 5_000 });
  const asked = ask(github, "/orgs/acme", github.addToken("root"));
  await expect.poll(() => clock.pendingCount).toBe(1);
  await clock.advance(5_000);
  expect((await asked).status).toBe(200);
  expect(ongoing.hitCount).toBe(1);
});

test("trouble() answers with an error, an error's page, half of the JSON, or less than it has", async () => {
  await using github = await openGithub(SPEC);
  const token = github.addToken("root");
  const during = async (trouble: Trouble) => {
    const ongoing = await github.server.trouble(trouble);
    const answer = await ask(github, "/orgs/acme", token);
    await ongoing.end();
    return answer;
  };
  const json = await during({ type: "status", status: 500, body: "json" });
  expect([json.status, json.value]).toEqual([500, { message: "Server Error" }]);
  const page = await during({ type: "status", status: 502, body: "html" });
  expect([page.status, page.headers.get("content-type"), page.value]).toEqual([502, "text/html", undefined]);
  const garbage = await during({ type: "garbage" });
  expect([garbage.status, garbage.value]).toEqual([200, undefined]);
  const short = await during({ type: "wrong-length", byBytes: -5 });
  expect([short.status, short.value]).toEqual([200, undefined]);
  expect((await ask(github, "/orgs/acme", token)).status).toBe(200);
});

test("trouble() hits the requests that it is for: a page, an operation, the first few", async () => {
  await using github = await openGithub(SPEC);
  const token = github.addToken("root");
  for (let index = 0; index < 40; index += 1) github.world.addRepository(`acme/r${index}`);
  const where = { template: "/orgs/{org}/repos", page: 2, count: 1 };
  const ongoing = await github.server.trouble({ type: "status", status: 502, body: "html" }, where);
  const paths = ["/orgs/acme", "/orgs/acme/repos", "/orgs/acme/repos?page=2", "/orgs/acme/repos?page=2"];
  const statuses: number[] = [];
  for (const path of paths) statuses.push((await ask(github, path, token)).status);
  expect(statuses).toEqual([200, 200, 502, 200]);
  expect(ongoing.hitCount).toBe(1);
});

test("trouble() answers about the world as it was when it began", async () => {
  await using github = await openGithub(SPEC);
  const token = github.addToken("root");
  github.world.addUser({ login: "ada" });
  github.world.setCollaborator("acme/shop", "ada", "push");
  const path = "/repos/acme/shop/collaborators/ada/permission";
  const before = await ask(github, path, token);
  const stale = await github.server.trouble({ type: "stale" });
  github.world.removeCollaborator("acme/shop", "ada");
  const headers = { "if-none-match": before.headers.get("etag") ?? "" };
  expect((await ask(github, path, token, { headers })).status).toBe(304);
  expect(valueAt((await ask(github, path, token)).value, "permission")).toBe("write");
  await stale.end();
  expect(valueAt((await ask(github, path, token, { headers })).value, "permission")).toBe("none");
});
