/**
 * What went wrong in gateways before this one, each beside a whole GitHub: who was locked out or stayed in, what a tunnel
 * reached, what became of a command, and where secrets and identities leaked.
 *
 * Held elsewhere already, and not said again here:
 * - the file of keys is empty when the last one goes, has everybody beyond one page, and two repositories do not overwrite
 *   each other's: `stock-sshd.test.ts`
 * - a live connection is cut whole, with `-N`, masters and forwards: `revocation.test.ts`
 * - every exit code, signals, `SetEnv` and `SendEnv`: `../interop/openssh-exec.test.ts`; Ctrl-C: `openssh-terminal.test.ts`
 * - programs inside reach no server of the machine: `../interop/isolation.test.ts`
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, expect, test } from "vitest";
import { WEBHOOK_SECRET } from "../forges/github/github.ts";
import { readPublicKey, type Client } from "../harness/client.ts";
import { whyNoService } from "../harness/needs.ts";
import { run } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { grepInside } from "./grep-inside.ts";
import { openForgeService } from "./open-forge-service.ts";

beforeEach((context) => {
  const lacks = whyNoService();
  if (lacks !== undefined) context.skip(lacks);
});

const DENIED = { exitCode: 255, stdout: "" };

async function untilIn(client: Client, login = "shop-main"): Promise<void> {
  const isIn = async (): Promise<boolean> => (await client.ssh([`${login}@slipway`, "true"])).exitCode === 0;
  await until(`${client.name} to get into ${login}`, isIn, 30_000);
}

async function tryIn(client: Client, login = "shop-main") {
  return client.ssh([`${login}@slipway`, "echo in"]);
}

test("when the last collaborator is removed nobody gets in any more", { timeout: 60_000 }, async () => {
  await using world = await openForgeService({ webhooks: true });
  const { github, service } = world;
  for (const name of ["ivy", "max"]) {
    github.world.setCollaborator("acme/shop", name, "push");
    await untilIn(service.as(name));
  }
  for (const name of ["ivy", "max"]) {
    github.world.removeCollaborator("acme/shop", name);
    await until(`${name} to be out`, async () => (await tryIn(service.as(name))).exitCode === 255);
  }
  for (const name of ["ivy", "max"]) expect(await tryIn(service.as(name))).toMatchObject(DENIED);
});

test("collaborators 31 and 131 of a repository get in", { timeout: 60_000 }, async () => {
  // 30 are on a page that nobody asked to be longer, and 100 at most: docs.github.com/en/rest, "Pagination".
  const crowd = Array.from({ length: 129 }, (_, at) => ({ login: `worker-${at}` }));
  const people = [...crowd.slice(0, 30), { login: "max" }, ...crowd.slice(30), { login: "ivy" }];
  await using world = await openForgeService({ github: { org: "acme", repos: ["shop"], people } });
  const { github, service } = world;
  for (const { login } of people) github.world.setCollaborator("acme/shop", login, "push");
  await untilIn(service.as("max"));
  await untilIn(service.as("ivy"));
});

test(
  "an error about one repository takes nobody out of it, and changes nothing for another",
  { timeout: 90_000 },
  async () => {
    await using world = await openForgeService({ github: { repos: ["shop", "site"] }, forge: { poll: "5s" } });
    const { github, service } = world;
    await github.fill("acme/site", { main: { "README.md": "# site\n" } });
    github.world.setCollaborator("acme/shop", "ivy", "push");
    github.world.setCollaborator("acme/site", "max", "push");
    const [ivy, max] = [service.as("ivy"), service.as("max")];
    await untilIn(ivy);
    await untilIn(max, "site-main");
    const live = ivy.startSsh(["shop-main@slipway", "echo up; cat"], { timeoutMs: 60_000 });
    await live.untilOutput(/up/);
    const id = github.world.repository("acme/shop").id;
    const isOfShop = (path: string): boolean => path.includes("/acme/shop") || path.includes(`/repositories/${id}`);
    await using broken = await github.server.trouble(
      { type: "status", status: 500, body: "json" },
      { when: ({ path }) => isOfShop(path) },
    );
    await sleep(8_000);
    expect(broken.hitCount).toBeGreaterThan(0);
    expect(await tryIn(ivy)).toMatchObject({ exitCode: 0, stdout: "in\n" });
    expect(await tryIn(max, "site-main")).toMatchObject({ exitCode: 0, stdout: "in\n" });
    for (const [client, login] of [
      [ivy, "site-main"],
      [max, "shop-main"],
    ] as const)
      expect(await tryIn(client, login)).toMatchObject(DENIED);
    live.stdin.end("still here\n");
    expect(await live.ended).toMatchObject({ exitCode: 0, stdout: "up\nstill here\n" });
  },
);

test("tunnels reach the loopback of the environment, never the gateway's own", { timeout: 60_000 }, async () => {
  await using world = await openForgeService({ webhooks: true });
  const { github, service } = world;
  github.world.setCollaborator("acme/shop", "ivy", "push");
  const ivy = service.as("ivy");
  await untilIn(ivy);
  const hooked = github.courier.deliveries.length;
  expect(hooked).toBeGreaterThan(0);
  const ports = [service.port, service.httpPort, Number(new URL(world.webhooksUrl).port)];
  const get = "GET /metrics HTTP/1.0\r\n\r\n";
  for (const port of ports) {
    for (const host of ["localhost", "127.0.0.1", "[::1]"]) {
      const through = await ivy.ssh(["-W", `${host}:${port}`, "shop-main@slipway"], { input: get });
      expect(through).toMatchObject(DENIED);
      expect(through.stderr).toMatch(/open failed/);
    }
  }
  const control = `${service.stateFolder}/control.sock`;
  expect(readFileSync("/proc/net/unix", "utf8")).toContain(control);
  const local = join(ivy.folder, "control.sock");
  const forward = ivy.startSsh(["-N", "-L", `${local}:${control}`, "shop-main@slipway"], { timeoutMs: 20_000 });
  const asked = await until("an answer through the tunnel", async () => {
    const curl = await run(["curl", "-sS", "--unix-socket", local, "http://slipway/access/list"]);
    return !/No such file|Couldn't connect/.test(curl.stderr) && curl;
  });
  expect(asked).toMatchObject({ stdout: "" });
  expect(asked.exitCode).not.toBe(0);
  forward.kill();
  // The same ports are free inside, and what listens there is what is reached.
  const server = `require("net").createServer((s) => s.end("inside")).listen(${service.httpPort}, "127.0.0.1", () => console.log("up"))`;
  const inside = ivy.startSsh(["shop-main@slipway", `node -e '${server}'`], { timeoutMs: 30_000 });
  await inside.untilOutput(/up/);
  const reached = await ivy.ssh(["-W", `localhost:${service.httpPort}`, "shop-main@slipway"]);
  expect(reached.stdout).toBe("inside");
  inside.kill();
});

test("commands come to a shell as they were typed", { timeout: 60_000 }, async () => {
  await using world = await openForgeService();
  const { github, service } = world;
  github.world.setCollaborator("acme/shop", "ivy", "push");
  const ivy = service.as("ivy");
  await untilIn(ivy);
  const commands = [
    "cd /tmp && pwd",
    "mkdir -p '/tmp/a  b' && touch '/tmp/a  b/x  1' '/tmp/a  b/x  2' && ls '/tmp/a  b'",
    "cd '/tmp/a  b' && printf '<%s>' *",
    `printf '<%s>' "two  words" 'it'\\''s' "\\$HOME" \\* '$(id)' "a\nb"`,
    "false || echo other; (exit 3) || echo $?",
    "for n in 1 2 3; do echo $n; done | tail -n 1",
    "cat <<'END'\n$HOME `id` \\\\\nEND",
    'test -z "$NOPE" && exit 41',
  ];
  for (const command of commands) {
    const here = await run(["sh", "-c", command]);
    const there = await ivy.ssh(["shop-main@slipway", command]);
    expect({ command, code: there.exitCode, out: there.stdout }).toEqual({
      ...{ command, code: here.exitCode, out: here.stdout },
    });
  }
  execFileSync("rm", ["-rf", "/tmp/a  b"]);
  for (const how of [[], ["-O"]]) {
    const from = join(ivy.folder, "a name  with blanks");
    execFileSync("cp", [ivy.configFile, from]);
    const copied = await ivy.run(["scp", "-F", ivy.configFile, ...how, from, "shop-main@slipway:/tmp/"]);
    expect(copied).toMatchObject({ exitCode: 0 });
    const back = await ivy.ssh(["shop-main@slipway", "cat '/tmp/a name  with blanks'; rm '/tmp/a name  with blanks'"]);
    expect(back.stdout).toBe(readFileSync(ivy.configFile, "utf8"));
  }
});

test("no secret of the forge is in what the service writes and says, or inside", { timeout: 90_000 }, async () => {
  await using world = await openForgeService({ webhooks: true });
  const { github, service } = world;
  github.world.setCollaborator("acme/shop", "ivy", "push");
  const ivy = service.as("ivy");
  await untilIn(ivy);
  github.courier.treat({ signature: "wrong" });
  github.world.setCollaborator("acme/shop", "max", "pull");
  await github.courier.settled();
  github.courier.treat({});
  const refused = await tryIn(service.as("max"));
  const sent = github.server.requests.flatMap(({ headers }) => headers.authorization ?? []);
  const tokens = new Set(sent.map((header) => header.replace(/^\S+ /, "")));
  expect(tokens.size).toBeGreaterThan(1); // that of the App, and that of its installation
  const pem = github.app.privateKey.split("\n").filter((line) => line.length > 40);
  // As git sends it over https.
  const basic = [...tokens].map((token) => Buffer.from(`x-access-token:${token}`).toString("base64"));
  const secrets = [...tokens, ...basic, ...pem, WEBHOOK_SECRET];

  const said = [
    service.log(),
    readFileSync(join(service.stateFolder, "audit.jsonl"), "utf8"),
    await (await fetch(`http://127.0.0.1:${service.httpPort}/metrics`)).text(),
    refused.stderr,
    (await ivy.ssh(["-v", "shop-main@slipway", "true"])).stderr,
    (await ivy.lobby("whoami", "--json")).stdout,
    await service.slip("access", "explain", "ivy", "acme/shop", "--json"),
    await service.slip("access", "list", "--json"),
  ];
  for (const text of said) {
    expect(text.length).toBeGreaterThan(0);
    for (const secret of secrets) expect(text).not.toContain(secret);
  }
  const grep = ["grep", "-rlaF", "-f", "-", service.folder];
  expect((await run(grep, { input: "# shop" })).exitCode).toBe(0);
  expect(await run(grep, { input: secrets.join("\n") })).toMatchObject({ exitCode: 1, stdout: "" });
  expect(await grepInside(ivy, "shop-main", ["# shop"])).toEqual([expect.stringMatching(/README\.md$/)]);
  expect(await grepInside(ivy, "shop-main", secrets)).toEqual([]);
  const commandLine = readFileSync(`/proc/${service.pid}/cmdline`, "utf8");
  for (const secret of secrets) expect(commandLine).not.toContain(secret);
});

test(
  "a key on two accounts lets neither in, and only the operator is told whose they are",
  { timeout: 60_000 },
  async () => {
    await using world = await openForgeService({ webhooks: true, forge: { poll: "5s" } });
    const { github, service } = world;
    const ivy = service.as("ivy");
    github.world.setCollaborator("acme/shop", "ivy", "push");
    await untilIn(ivy);
    const live = ivy.startSsh(["-N", "shop-main@slipway"], { timeoutMs: 60_000 });
    await until("the session", async () => (await ivy.lobby("who")).stdout.includes("shop-main"));
    github.world.addKey("max", readPublicKey(ivy.identityFile));
    github.world.setCollaborator("acme/shop", "max", "push");
    await live.untilError(/\(session s-/, 20_000);
    const refused = await until("ivy to be refused", async () => {
      const login = await tryIn(ivy);
      return login.exitCode === 255 && login;
    });
    for (const { stderr } of [refused, await live.ended]) {
      expect(stderr).toContain("more than one account");
      expect(stderr).not.toMatch(/\bmax\b/);
    }
    // Their own key is theirs alone, and goes on.
    await untilIn(service.as("max"));
    const logged = service.events("access.key-shared");
    expect(logged[0]?.["accounts"]).toEqual(
      expect.arrayContaining(
        ["ivy", "max"].map((login) => ({ forge: "github", id: String(github.world.user(login).id), login })),
      ),
    );
    expect(logged[0]?.["keys"]).toEqual([expect.stringMatching(/^SHA256:/)]);
  },
);

test(
  "a renamed account keeps its environments, and who takes its old name gets nothing of them",
  { timeout: 90_000 },
  async () => {
    await using world = await openForgeService({ forge: { poll: "5s" } });
    const { github, service } = world;
    const [ivy, successor] = [service.as("ivy"), service.as("max")];
    github.world.setCollaborator("acme/shop", "ivy", "push");
    await untilIn(ivy);
    await ivy.ssh(["shop-main@slipway", "echo hers > mark"]);
    github.world.renameOwner("ivy", "ivory");
    github.world.removeKey("max");
    github.world.addUser({ login: "ivy", keys: [readPublicKey(successor.identityFile)] });
    await sleep(6_000);
    expect(await tryIn(successor)).toMatchObject(DENIED);
    expect((await ivy.ssh(["shop-main@slipway", "cat mark"])).stdout).toBe("hers\n");
    github.world.setCollaborator("acme/shop", "ivy", "push");
    await untilIn(successor);
    const looked = await successor.ssh(["shop-main@slipway", "cat mark; ls"]);
    expect(looked.stdout).toBe("README.md\n");
    for (const words of [
      ["ls", "--json"],
      ["who", "--json"],
    ])
      expect((await successor.lobby(...words)).stdout).not.toContain("ivory");
    const rows = JSON.parse((await successor.lobby("ls", "--json")).stdout) as unknown[];
    expect(rows).toHaveLength(1);
    github.world.removeCollaborator("acme/shop", "ivory");
    await until("ivory to be out", async () => (await tryIn(ivy)).exitCode === 255, 15_000);
    expect(await tryIn(successor)).toMatchObject({ exitCode: 0 });
  },
);

test.each([{ readOnly: "none" }, { readOnly: "environment" }])(
  "with readOnly: $readOnly, readers get what it says, and strangers nothing of a public repository",
  { timeout: 60_000 },
  async ({ readOnly }) => {
    const github = { repos: ["shop", { name: "open", isPrivate: false }] };
    await using world = await openForgeService({ github, webhooks: true, forge: { readOnly } });
    const { service } = world;
    await world.github.fill("acme/open", { main: { "README.md": "# open\n" } });
    const [ivy, max] = [service.as("ivy"), service.as("max")];
    world.github.world.setCollaborator("acme/shop", "max", "push");
    world.github.world.setCollaborator("acme/shop", "ivy", "pull");
    await untilIn(max);
    expect(await tryIn(max, "open-main")).toMatchObject(DENIED);
    expect(await tryIn(ivy, "open-main")).toMatchObject(DENIED);
    if (readOnly === "environment") {
      await untilIn(ivy);
      return;
    }
    await sleep(2_000);
    const refused = await tryIn(ivy);
    expect(refused).toMatchObject(DENIED);
    world.github.world.setCollaborator("acme/shop", "ivy", "push");
    await untilIn(ivy);
  },
);
