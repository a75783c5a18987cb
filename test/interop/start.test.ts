import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../harness/free-port.ts";
import { clearLeftovers } from "../harness/leftovers.ts";
import { whyNoService } from "../harness/needs.ts";
import { mustRun, run, type Ended } from "../harness/program.ts";

const PROJECT = join(import.meta.dirname, "../..");
const FIRST_UID = 260_000;

let folder = "";

/** A state folder whose first start finds settings already: with ports of its own, and the key of the tour. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "slipway-start-"));
  mkdirSync(join(folder, "demo"));
  const key = join(folder, "demo/id_ed25519");
  await mustRun(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
  writeFileSync(
    join(folder, "slipway.yaml"),
    [
      "version: 1",
      `listen: { ssh: ["127.0.0.1:${await freePort()}"], http: null }`,
      `people: { you: { keys: [${JSON.stringify(readFileSync(`${key}.pub`, "utf8").trim())}] } }`,
      "repositories: { hello: { url: ./demo/hello.git } }",
      'grants: [{ people: "*", repositories: "*" }]',
      `sandbox: { network: loopback, firstUid: ${FIRST_UID}, uidCount: 5 }`,
      "",
    ].join("\n"),
  );
});

afterAll(async () => {
  await clearLeftovers({ folder, firstUid: FIRST_UID, uidCount: 5, environments: [] });
  rmSync(folder, { recursive: true, force: true });
});

async function start(): Promise<Ended> {
  const program = join(PROJECT, "src/cmd/start.ts");
  return run([process.execPath, program, "--once"], { env: { SLIPWAY_HOME: folder }, timeoutMs: 60_000 });
}

test("npm start -- --once shows with the real ssh that everything works, and a second start finds it as it was", async (ctx) => {
  const lacks = whyNoService();
  if (lacks !== undefined) ctx.skip(lacks);
  const first = await start();
  expect(first).toMatchObject({ exitCode: 0, stderr: "" });
  expect(first.stdout.match(/^ {2}ok /gm)).toHaveLength(5);
  expect(first.stdout).toContain("dev on hello-main in /workspace/hello, at A page and the service that shows it");
  const second = await start();
  expect(second).toMatchObject({ exitCode: 0, stderr: "" });
  expect(second.stdout).not.toContain("checking out");
}, 120_000);

test("npm start says in one line what the operator must change", async (ctx) => {
  const lacks = whyNoService();
  if (lacks !== undefined) ctx.skip(lacks);
  const settings = join(folder, "slipway.yaml");
  const sound = readFileSync(settings, "utf8");
  writeFileSync(settings, sound.replace("version: 1", "version: 2\nbogus: 1"));
  const broken = await start();
  writeFileSync(settings, sound);
  expect(broken).toMatchObject({ exitCode: 78, stdout: "" });
  expect(broken.stderr).toContain("slipway.yaml:1: version:");
  expect(broken.stderr).toContain("slipway.yaml:2: bogus:");
});
