import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { freePort } from "../harness/free-port.ts";
import { clearLeftovers } from "../harness/leftovers.ts";
import { whyNoService } from "../harness/needs.ts";
import { mustRun, run, start, type Ended, type Running } from "../harness/program.ts";

const PROJECT = join(import.meta.dirname, "../..");
const WORDS = [process.execPath, join(PROJECT, "src/cmd/start.ts")];
const FIRST_UID = 260_000;
const PAGE = "public/index.html";

let folder = "";
let port = 0;

/** A state folder whose first start finds settings already: with ports of its own, and the key of the tour. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "slipway-start-"));
  mkdirSync(join(folder, "demo"));
  const key = join(folder, "demo/id_ed25519");
  await mustRun(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
  port = await freePort();
  writeFileSync(
    join(folder, "slipway.yaml"),
    [
      "version: 1",
      `listen: { ssh: ["127.0.0.1:${port}"], http: null }`,
      `people: { you: { keys: [${JSON.stringify(readFileSync(`${key}.pub`, "utf8").trim())}] } }`,
      "repositories: { hello: { url: ./demo/hello.git } }",
      'grants: [{ people: "*", repositories: "*" }]',
      `sandbox: { network: loopback, firstUid: ${FIRST_UID}, uidCount: 5 }`,
      "",
    ].join("\n"),
  );
});

beforeEach((ctx) => {
  const lacks = whyNoService();
  if (lacks !== undefined) ctx.skip(lacks);
});

afterAll(async () => {
  await clearLeftovers({ folder, firstUid: FIRST_UID, uidCount: 5, environments: [] });
  rmSync(folder, { recursive: true, force: true });
});

async function startOnce(): Promise<Ended> {
  return run([...WORDS, "--once"], { env: { SLIPWAY_HOME: folder }, timeoutMs: 60_000 });
}

/** Starts, and does something while it serves. @returns how it ended when it was interrupted */
async function whileServing(act: (service: Running) => Promise<void>): Promise<Ended> {
  const service = start(WORDS, { env: { SLIPWAY_HOME: folder }, timeoutMs: 90_000 });
  try {
    await service.untilOutput(/Ctrl-C stops\./, 60_000);
    await act(service);
  } finally {
    service.kill("SIGINT");
  }
  return service.ended;
}

/** Runs a command in hello-main, as the person of the tour. @returns what it printed */
async function inHello(command: string): Promise<string> {
  const demo = join(folder, "demo");
  const options = ["IdentitiesOnly=yes", "StrictHostKeyChecking=yes", `UserKnownHostsFile=${demo}/known_hosts`];
  const set = options.flatMap((option) => ["-o", option]);
  return mustRun([
    "ssh",
    "-F",
    "none",
    "-i",
    `${demo}/id_ed25519`,
    ...set,
    "-p",
    `${port}`,
    "hello-main@localhost",
    command,
  ]);
}

test("npm start -- --once shows with the real ssh that everything works, and a second start finds it as it was", async () => {
  const first = await startOnce();
  expect(first).toMatchObject({ exitCode: 0, stderr: "" });
  expect(first.stdout.match(/^ {2}ok /gm)).toHaveLength(6);
  expect(first.stdout).toContain("dev on hello-main in /workspace/hello, at A page and the service that shows it");
  const second = await startOnce();
  expect(second).toMatchObject({ exitCode: 0, stderr: "" });
  expect(second.stdout).not.toContain("checking out");
}, 120_000);

/** Each start replaced the page, with what somebody had written into it: a second start finds everything as it was. */
test("npm start leaves a page that somebody has edited and not committed as it was", async () => {
  const status = "git status --porcelain";
  const read = async (): Promise<string> => inHello(`sha256sum ${PAGE}; stat -c %a ${PAGE}; ${status}`);
  let before = "";
  await whileServing(async () => {
    expect(await inHello(status)).toBe("");
    await inHello(`printf '\\351 of my own, no line break' >> ${PAGE}; chmod 640 ${PAGE}`);
    before = await read();
  });
  expect(before).toContain(` M ${PAGE}\n`);
  await whileServing(async (service) => {
    expect(service.stdout()).not.toContain("FAIL");
    expect(await read()).toBe(before);
    await inHello(`git checkout -q ${PAGE}`);
  });
}, 120_000);

/** The service ended with the tour: nobody was served while the sample was broken. */
test("npm start goes on serving when a step fails, and leaves the page as it was", async () => {
  const read = async (): Promise<string> => inHello(`sha256sum ${PAGE}; git status --porcelain`);
  let before = "";
  await whileServing(async () => {
    await inHello("sed -i 's/response.end(page.*/response.end();/' server.js");
    await inHello("pkill -f [s]erver.js; sleep 0.5");
    before = await read();
  });
  const ended = await whileServing(async (service) => {
    expect(service.stdout()).toMatch(/FAIL +the service inside serves the edit: The page is without the edit/);
    expect(service.stdout()).toMatch(/Not all of that worked[^]+Your turn[^]+ hello-main@localhost/);
    expect(await read()).toBe(before);
    await inHello("git checkout -q server.js; mv public elsewhere");
  });
  expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
  const failed = await startOnce();
  expect(failed).toMatchObject({ exitCode: 1, stderr: "" });
  expect(failed.stdout).toMatch(/FAIL +edit a file by SFTP: .*public\/index.html/);
  await whileServing(async () => {
    await inHello("mv elsewhere public; pkill -f [s]erver.js; sleep 0.5");
    expect(await inHello("git status --porcelain")).toBe("");
  });
}, 180_000);

/** The settings are the person's to change, and with others than the tour's nothing was served at all. */
test("npm start names what the settings lack for the tour, and serves without it", async () => {
  const settings = join(folder, "slipway.yaml");
  const sound = readFileSync(settings, "utf8");
  const lack = `Cannot show with the real ssh that it works: that needs the repository hello at ./demo/hello.git and a listener on localhost, which ${settings} does not give`;
  try {
    writeFileSync(
      settings,
      sound.replace("127.0.0.1", "127.0.0.2").replace("repositories: { hello:", "repositories: { mine:"),
    );
    const ended = await whileServing(async (service) => {
      expect(service.stdout()).toContain(`${lack}\n`);
      expect(service.stdout()).not.toContain("Your turn");
      const socket = connect(port, "127.0.0.2");
      expect(String(await once(socket, "data"))).toMatch(/^SSH-2.0-/);
      socket.destroy();
    });
    expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
    const failed = await startOnce();
    expect(failed).toMatchObject({ exitCode: 1, stderr: "" });
    expect(failed.stdout).toContain(`${lack}\n`);
  } finally {
    writeFileSync(settings, sound);
  }
}, 120_000);

test("npm start says in one line what the operator must change", async () => {
  const settings = join(folder, "slipway.yaml");
  const sound = readFileSync(settings, "utf8");
  writeFileSync(settings, sound.replace("version: 1", "version: 2\nbogus: 1"));
  const broken = await startOnce();
  writeFileSync(settings, sound);
  expect(broken).toMatchObject({ exitCode: 78, stdout: "" });
  expect(broken.stderr).toContain("slipway.yaml:1: version:");
  expect(broken.stderr).toContain("slipway.yaml:2: bogus:");
});
