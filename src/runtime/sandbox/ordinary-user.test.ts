/** Environments of a service that is not root: it is started as one from here, since these tests are root themselves. */
import { cpSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { whyNoService } from "../../../test/harness/needs.ts";
import { giveFolder } from "../../../test/harness/ordinary-user.ts";
import { run } from "../../../test/harness/program.ts";
import type { Told } from "../../../test/harness/programs/use-sandbox.ts";
import type { Source } from "../runtime.ts";
import { openTestSandbox, START } from "../../../test/harness/sandbox.ts";
import type { TestSandbox } from "../../../test/harness/sandbox.ts";

const why = whyNoService();
const PROGRAM = join(import.meta.dirname, "../../../test/harness/programs/use-sandbox.ts");
const UID = 65_534;

let sandbox: TestSandbox;
let folder = "";

beforeAll(async () => {
  if (why !== undefined) return;
  sandbox = await openTestSandbox();
  folder = join(sandbox.folder, "user");
  mkdirSync(folder);
  cpSync(sandbox.mirrorPath, join(folder, "mirror.git"), { recursive: true });
  giveFolder(folder, UID);
});

afterAll(async () => {
  if (why === undefined) await sandbox[Symbol.asyncDispose]();
});

beforeEach((ctx) => {
  if (why !== undefined) ctx.skip(why);
});

const AS_USER = [
  "setpriv",
  "--reuid",
  String(UID),
  "--regid",
  String(UID),
  "--clear-groups",
  "--no-new-privs",
  "--bounding-set=-all",
];

async function asUser(line: string, words: readonly string[], start = START, changes: Partial<Source> = {}) {
  const spec = sandbox.makeSpec();
  const source = { ...spec.source, mirrorPath: join(folder, "mirror.git"), ...changes };
  const stateDir = join(folder, "state");
  const { gatewayKey } = sandbox.options;
  const tools = { node: process.execPath };
  const told: Told = { stateDir, gatewayKey, network: "auto", specs: [{ ...spec, source }], start, line, tools };
  const service = [process.execPath, PROGRAM, JSON.stringify(told), ...words];
  return { spec, ...(await run([...AS_USER, ...service], { timeoutMs: 60_000 })) };
}

test("an ordinary user's environments work, as that user, apart from the machine, and leave nothing", async () => {
  const lines = [
    "id -u; id -un; hostname; pwd; git status --porcelain --branch; grep -E 'Cap(Eff|Prm|Bnd)|NoNew' /proc/self/status",
    "ls -A /home /tmp /mnt; ls -d /work /tmp/slipway-sandbox-*; cat /etc/shadow; (exec 3<>/dev/tcp/127.0.0.1/22); ps -e -o comm= | sort -u",
    "touch /x; mkdir -p a && touch a/b && chmod 0 a; mount -t tmpfs x /mnt; echo done",
  ];
  const line = `bash -c '${lines.join("\n").replaceAll("'", `'\\''`)}'`;
  const words = [
    "create",
    "start",
    "run",
    "log",
    "connect",
    "unsaved",
    "sleep",
    "observe",
    "unsaved",
    "start",
    "connect",
    "destroy",
  ];
  const { spec, exitCode, stdout, stderr } = await asUser(line, words);
  expect([exitCode, stderr]).toEqual([0, expect.not.stringContaining("Fault")]);
  expect(stdout).toContain(`\n${UID}\ndev\nhello-main\n/workspace/hello\n## main...origin/main\n`);
  expect(stdout.match(/^Cap.*/gm)?.filter((one) => !one.endsWith("0000000000000000"))).toEqual([]);
  expect(stdout).toMatch(/NoNewPrivs:\t1/);
  expect(stdout).toContain("/home:\ndev\n\n/mnt:\n\n/tmp:\n");
  expect(stdout).toMatch(/cannot touch '\/x': Read-only/);
  expect(stdout).toMatch(/mount: .*(permission denied|must be superuser)/);
  expect(stdout.match(/^SSH-2\.0-OpenSSH/gm)).toHaveLength(2);
  expect(stdout).toContain('"power":"sleeping","checkedOut":true');
  expect(stdout).toContain("lacks no network beyond its own loopback: an ordinary user cannot make it");
  expect(stdout).toContain(`destroy ${spec.id}`);
  expect(readdirSync(join(folder, "state/environments"))).toEqual([]);
  // A bug of ours: what overlayfs left of a first look was closed to its owner, so that they could not remove the state
  // folder.
  const ownRemoval = await run([...AS_USER, "rm", "-r", "--", join(folder, "state")]);
  expect(ownRemoval).toMatchObject({ exitCode: 0, stderr: "" });
});

test("the service command of an ordinary user's environment runs without any capability, and again after its end", async () => {
  const start = { ...START, run: "echo round; grep -E 'Cap(Eff|Prm|Bnd|Inh)' /proc/self/status; exit 3" };
  const { exitCode, stdout } = await asUser("sleep 2", ["create", "start", "run", "log", "destroy"], start);
  expect(exitCode).toBe(0);
  expect(stdout).not.toContain("uid_map");
  expect(stdout).toContain("slipway: the service command ended with code 3 and starts again in 1 s");
  expect(stdout.match(/^round$/gm)?.length).toBeGreaterThan(1);
  const capabilities = stdout.match(/^Cap.*/gm) ?? [];
  expect(capabilities.filter((one) => !one.endsWith("0000000000000000"))).toEqual([]);
  expect(capabilities.length).toBeGreaterThan(7);
});

test("git in an ordinary user's environment gets a credential over the socket of the environment", async () => {
  const line =
    "echo url=https://forge.example/hello.git | git credential fill; stat -c '%a %u' /opt/slipway/calls.sock";
  const words = ["create", "start", "listen", "run", "log", "destroy"];
  const { exitCode, stdout } = await asUser(line, words, START, { credentialHost: "forge.example" });
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining("\nusername=ada\npassword=token\n")]);
  expect(stdout).toContain(`\n600 ${UID}\n`);
});

test("an ordinary user is told which setting forbids environments", async () => {
  // In a user namespace of the test's own, where the limit can be lowered without touching the machine's.
  const forbid = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"';
  const before = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--keep-caps", "sh", "-c", forbid, "sh"];
  const { gatewayKey } = sandbox.options;
  const stateDir = join(folder, "forbidden");
  const told: Told = { stateDir, gatewayKey, network: "auto", specs: [], start: START, line: "" };
  const { stderr, exitCode } = await run([...AS_USER, ...before, process.execPath, PROGRAM, JSON.stringify(told)]);
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining("runtime.unable")]);
  expect(stderr).toContain("sysctl user.max_user_namespaces forbids user namespaces, and above 0 allows them");
});
