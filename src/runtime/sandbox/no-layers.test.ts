/** Environments on a machine where overlayfs cannot be used: here because the state folder is itself on one. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { whyNoService } from "../../../test/harness/needs.ts";
import { run } from "../../../test/harness/program.ts";
import type { Told } from "../../../test/harness/programs/use-sandbox.ts";
import { openTestSandbox, START } from "../../../test/harness/sandbox.ts";
import type { TestSandbox } from "../../../test/harness/sandbox.ts";

const why = whyNoService();
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

test("openSandbox() does without layers over the system where it has to, and says what is lacking", async () => {
  const layers = ["lower", "upper", "work", "merged"].map((name) => join(sandbox.folder, name));
  for (const folder of layers) mkdirSync(folder);
  const [lower = "", upper = "", work = "", merged = ""] = layers;
  const spec = sandbox.makeSpec();
  const lines = [
    "id -un; cat /etc/hostname; grep -c . /etc/passwd; cat /etc/shadow; ls -A /etc/ssh/ /opt/slipway/etc/ssh/",
    "test -s /etc/os-release && test -s /etc/ssl/openssl.cnf && test -e /etc/alternatives/awk && echo links",
    "bash -lc 'echo $PATH'; touch /etc/x /usr/x /opt/x; git config user.email; getent hosts hello-main | tr -s ' '",
  ];
  const line = `bash -c '${lines.join("\n").replaceAll("'", `'\\''`)}'`;
  const { gatewayKey } = sandbox.options;
  const told: Told = {
    stateDir: join(merged, "state"),
    gatewayKey,
    network: "loopback",
    specs: [spec],
    start: START,
    line,
  };
  const service = [process.execPath, PROGRAM, JSON.stringify(told)];
  const words = ["create", "start", "run", "log", "connect", "sleep", "unsaved", "start", "connect", "destroy"];
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  const script = `mount -t overlay overlay -o ${options} ${merged} && exec "$@"`;
  const { exitCode, stdout, stderr } = await run(
    ["unshare", "--mount", "sh", "-c", script, "sh", ...service, ...words],
    {
      timeoutMs: 60_000,
    },
  );
  expect([exitCode, stderr]).toEqual([0, ""]);
  expect(stdout).toContain(
    "lacks no layer of their own over /etc, /usr and the like: overlayfs cannot be used for the state folder",
  );
  expect(stdout).toMatch(/\ndev\nhello-main\n\d+\n\/etc\/ssh\/:\n\n\/opt\/slipway\/etc\/ssh\/:\nlinks\n/);
  expect(stdout).toMatch(/^\/usr\/local\/bin:.*:\/opt\/slipway\/bin$/m);
  expect(stdout.match(/^touch: cannot touch .*Read-only file system$/gm)).toHaveLength(3);
  expect(stdout).toContain("\nada@example.org\n127.0.1.1 hello-main\n");
  expect(stdout.match(/^SSH-2\.0-OpenSSH/gm)).toHaveLength(2);
  expect(stdout).toContain(`destroy ${spec.id}`);
});
