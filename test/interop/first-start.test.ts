import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readHostKeys } from "../../src/store/host-keys.ts";
import { checkSettings } from "../../src/wire/settings.ts";
import { clearLeftovers, findLeftovers } from "../harness/leftovers.ts";
import { whyNoService, whyNot } from "../harness/needs.ts";
import { mustRun, start } from "../harness/program.ts";

const PROJECT = join(import.meta.dirname, "../..");

const home = mkdtempSync(join(tmpdir(), "slipway-first-"));
// By its last name its processes are told from those of others.
const state = join(home, "not/there", basename(home));
let environments: string[] = [];

/** No range of user numbers: with settings of its own making the service uses those of any other on this machine. */
afterAll(async () => {
  await clearLeftovers({ folder: state, firstUid: 0, uidCount: 0, environments });
  rmSync(home, { recursive: true, force: true });
});

/**
 * In a network namespace of its own, since the ports of the settings that are made belong to whoever uses them, and in a
 * session of its own, so that it can be interrupted as a terminal does it.
 */
const WORDS = ["setsid", "unshare", "--net", "sh", "-c", "ip link set lo up && exec npm start"];

test("npm start makes everything from nothing, serves the person by their own key, and ends when it is interrupted", async (ctx) => {
  const lacks = whyNoService() ?? whyNot("npm", "setsid", "nsenter");
  if (lacks !== undefined) ctx.skip(lacks);
  mkdirSync(join(home, ".ssh"), { mode: 0o700 });
  const key = join(home, ".ssh/id_ed25519");
  await mustRun(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
  const variables = { HOME: home, SLIPWAY_HOME: state, SLIPWAY_NO_APT: "1", PATH: process.env["PATH"] ?? "" };
  const service = start(WORDS, { cwd: PROJECT, env: variables, timeoutMs: 100_000 });
  try {
    await service.untilOutput(/Ctrl-C stops\./, 80_000);
    expect(service.stdout()).toContain(`Slipway listens on port 2222; state in ${state},`);
    expect(service.stdout()).not.toContain("FAIL");
    expect(service.stdout()).toContain("\n    ssh -p 2222 hello-main@localhost\n");
    expect(statSync(state).mode & 0o777).toBe(0o700);
    expect(readHostKeys(join(state, "hostkeys"))).not.toEqual([]);
    const settings = checkSettings(readFileSync(join(state, "slipway.yaml"), "utf8"), "slipway.yaml");
    expect(settings.people.map(({ admin, keys }) => [admin, keys.length])).toEqual([[true, 2]]);
    const known = `UserKnownHostsFile=${state}/demo/known_hosts`;
    const enter = ["nsenter", `--net=/proc/${service.pid}/ns/net`, "ssh", "-F", "none", "-i", key, "-o", known];
    const ssh = async (login: string, ...words: string[]): Promise<string> =>
      mustRun([...enter, "-o", "IdentitiesOnly=yes", "-p", "2222", `${login}@localhost`, ...words]);
    expect(await ssh("hello-main", "git status --porcelain; pwd")).toBe("/workspace/hello\n");
    environments = readdirSync(join(state, "environments"));
    expect(environments).toHaveLength(1);
    // What the tour has done is not in the way of it.
    await ssh("slip", "rm", "hello-main");
  } finally {
    process.kill(-service.pid, "SIGINT");
  }
  expect(await service.ended).toMatchObject({ exitCode: 0, stderr: "" });
  expect(await findLeftovers({ folder: state, firstUid: 0, uidCount: 0, environments })).toEqual([]);
}, 120_000);
