/** What an environment must not inherit: descriptors and keys of whoever started the service, keys of an earlier one. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { whyNoService, whyNot } from "../../../test/harness/needs.ts";
import { run } from "../../../test/harness/program.ts";
import type { Told } from "../../../test/harness/programs/use-sandbox.ts";
import { openTestSandbox, START } from "../../../test/harness/sandbox.ts";
import type { TestSandbox } from "../../../test/harness/sandbox.ts";

const why = whyNoService() ?? whyNot("keyctl");
const PROGRAM = join(import.meta.dirname, "../../../test/harness/programs/use-sandbox.ts");

let sandbox: TestSandbox;

beforeAll(async () => {
  if (why === undefined) sandbox = await openTestSandbox();
});

afterAll(async () => {
  if (why === undefined) await sandbox[Symbol.asyncDispose]();
});

beforeEach((ctx) => {
  if (why !== undefined) ctx.skip(why);
});

/** Has a service, started by `before "$@"` in bash, do everything with an environment whose command is `line`. */
async function serve(before: string, line: string): Promise<string> {
  const stateDir = join(sandbox.folder, "inherited");
  const spec = sandbox.makeSpec();
  const start = { ...START, run: `${line}; sleep 60` };
  const told: Told = {
    stateDir,
    gatewayKey: sandbox.options.gatewayKey,
    network: "loopback",
    specs: [spec],
    start,
    line,
  };
  const words = ["create", "start", "run", "connect", "log", "sleep", "destroy"];
  const service = [process.execPath, PROGRAM, JSON.stringify(told), ...words];
  const { exitCode, stdout, stderr } = await run(["bash", "-c", before, "bash", ...service], { timeoutMs: 60_000 });
  expect([exitCode, stderr]).toEqual([0, expect.not.stringContaining("Fault")]);
  return stdout;
}

test("a descriptor that the service was started with is in no process of an environment", async () => {
  const secret = join(sandbox.folder, "secret");
  writeFileSync(secret, "secret", { mode: 0o600 });
  const numbers = [4, 9, 10, 200, 251, 254, 255, 300];
  const open = numbers.map((number) => `${number}<>"${secret}"`).join(" ");
  const seen = await serve(`exec ${open}; exec "$@"`, "sleep 1; ls -l /proc/[0-9]*/fd 2>&1");
  expect(seen.match(/^\/proc\/\d+\/fd:$/gm)?.length).toBeGreaterThan(6); // process 1, a door and both commands
  expect(seen).not.toContain(secret);
});

test("a key of the session that the service was started in is read by nothing of an environment", async () => {
  const look = [
    "import ctypes; c = ctypes.CDLL(None, use_errno=True); b = ctypes.create_string_buffer(99)",
    'key = c.syscall(250, 10, -3, b"user", b"slipway-test", 0)', // x86-64: keyctl(2), KEYCTL_SEARCH
    'print("found" if key > 0 else "nothing", ctypes.get_errno())',
  ];
  const line = `/usr/bin/python3 -c '${look.join("\n")}'`;
  const before = `keyctl session - bash -c 'keyctl add user slipway-test secret @s; ${line.replaceAll("'", `'\\''`)}; exec "$@"' bash "$@"`;
  const seen = await serve(before, line);
  expect(seen.match(/^(?:found|nothing) \d+$/gm)).toEqual(["found 0", "nothing 126", "nothing 126"]);
  expect(seen).not.toContain("session keyring");
});

test.each([
  ["", "cleared"],
  ["; keyctl setperm @u 0x0b0b0000", "made to vanish where its owner closed it"],
])("keys in the keyrings of a user number do not go to its next environment%s (%s)", async (close) => {
  const spec = sandbox.makeSpec();
  await sandbox.up(spec);
  const put = "for ring in @u @us; do keyctl add user slipway-test-$ring secret $ring; done; keyctl show @us";
  expect((await sandbox.ssh(spec.id, [`${put}${close}`])).stdout).toContain("user: slipway-test-@u");
  await sandbox.runtime.destroy(spec.id);
  const look = ["setpriv", "--reuid", String(spec.uid), "--clear-groups", "keyctl", "show", "@us"];
  expect((await run(look)).stdout).not.toContain("slipway-test");
  await run([...look.slice(0, 4), "keyctl", "add", "user", "slipway-test", "secret", "@u"]);
  const next = sandbox.makeSpec({ uid: spec.uid });
  await sandbox.up(next);
  expect(
    (await sandbox.ssh(next.id, ["keyctl show @us; keyctl add user mine secret @u >&2 || echo refused"])).stdout,
  ).not.toMatch(/slipway-test|refused/);
  await sandbox.runtime.destroy(next.id);
});
