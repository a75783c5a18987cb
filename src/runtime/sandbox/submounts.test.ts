/** What is mounted below the system folders: found, and seen inside on this machine. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

import { whyNoService } from "../../../test/harness/needs.ts";
import { run } from "../../../test/harness/program.ts";
import type { Told } from "../../../test/harness/programs/use-sandbox.ts";
import { openTestSandbox, START } from "../../../test/harness/sandbox.ts";
import { findSubmounts } from "./submounts.ts";

const TABLE = `24 1 254:0 / / rw - ext4 /dev/vda rw
25 24 254:1 / /usr rw - ext4 /dev/vdb rw
26 25 0:40 / /usr/local/with\\040space/deep rw - tmpfs tmpfs rw
27 25 0:41 / /usr/local/with\\040space rw - tmpfs tmpfs rw
28 27 0:42 / /usr/local/with\\040space rw - tmpfs tmpfs rw
29 24 254:0 /own/hosts /etc/hosts rw - ext4 /dev/vda rw
30 24 0:43 / /usrlocal rw - tmpfs tmpfs rw
31 24 0:44 / /opt/tool/data rw - tmpfs tmpfs rw
`;

test("findSubmounts() finds what is mounted below the folders, once, and the outer first", () => {
  const folders = ["usr", "etc", "opt/tool"].map((name) => ({ name, path: `/${name}` }));
  expect(findSubmounts(TABLE, folders)).toEqual([
    { name: "etc/hosts", path: "/etc/hosts" },
    { name: "opt/tool/data", path: "/opt/tool/data" },
    { name: "usr/local/with space", path: "/usr/local/with space" },
    { name: "usr/local/with space/deep", path: "/usr/local/with space/deep" },
  ]);
});

test("findSubmounts() names them as they are inside, whatever root they are of", () => {
  expect(findSubmounts("1 2 0:1 / /srv/root/usr/a rw", [{ name: "usr", path: "/srv/root/usr" }])).toEqual([
    { name: "usr/a", path: "/srv/root/usr/a" },
  ]);
});

test("what is mounted below the system is seen inside, read-only, unless environments have a file of their own there", async (ctx) => {
  // A bug of ours: a disk of its own at /usr/local was an empty folder in every environment.
  const why = whyNoService();
  if (why !== undefined) ctx.skip(why);
  await using sandbox = await openTestSandbox();
  const hosts = join(sandbox.folder, "hosts");
  writeFileSync(hosts, "192.0.2.1 of-the-machine\n");
  const { gatewayKey, stateDir } = sandbox.options;
  const line = "cat /usr/local/games/file; touch /usr/local/games/new; grep -c . /etc/hosts; getent hosts hello-main";
  const specs = [sandbox.makeSpec()];
  const told: Told = { stateDir, gatewayKey, network: "loopback", specs, start: START, line: `sh -c '${line}'` };
  const program = join(import.meta.dirname, "../../../test/harness/programs/use-sandbox.ts");
  const script = [
    "mount -t tmpfs -o mode=1777 tmpfs /usr/local/games && echo mounted >/usr/local/games/file",
    `mount --bind ${hosts} /etc/hosts && exec "$@"`,
  ];
  const words = ["create", "start", "run", "log", "destroy"];
  const service = [process.execPath, program, JSON.stringify(told), ...words];
  const { exitCode, stdout, stderr } = await run([
    "unshare",
    "--mount",
    "sh",
    "-c",
    script.join(" && "),
    "sh",
    ...service,
  ]);
  expect([exitCode, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/\nmounted\ntouch: .*Read-only file system\n3\n127\.0\.1\.1 +hello-main\n/);
});
