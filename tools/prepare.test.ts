import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { packagesFor, planOf } from "./prepare.ts";

const ROOT = { isRoot: true, hasApt: true, mayNotInstall: false };

test("planOf() does nothing when nothing is missing", () => {
  expect(planOf("start", [], ROOT)).toEqual({ do: "nothing" });
});

test("planOf() installs only as root, with apt, and when it may", () => {
  expect(planOf("start", ["rsync"], ROOT)).toEqual({ do: "install", packages: ["rsync"] });
  expect(planOf("start", ["rsync"], { ...ROOT, isRoot: false }).do).toBe("tell");
  expect(planOf("start", ["rsync"], { ...ROOT, hasApt: false }).do).toBe("tell");
  expect(planOf("start", ["rsync"], { ...ROOT, mayNotInstall: true }).do).toBe("tell");
});

test("planOf() stops a start with the one command that helps", () => {
  expect(planOf("start", ["git", "rsync"], { ...ROOT, isRoot: false })).toEqual({
    do: "tell",
    exitCode: 1,
    text: `slipway: this machine lacks git, rsync.
Slipway cannot start without them. To have them:
  sudo apt-get install -y --no-install-recommends git rsync
`,
  });
});

test("planOf() lets tests go on without a package, and says loudly what that means", () => {
  expect(planOf("test", ["lftp"], { ...ROOT, isRoot: false, hasApt: false })).toEqual({
    do: "tell",
    exitCode: 0,
    text: `slipway: this machine lacks lftp.
EVERY TEST THAT NEEDS ONE OF THEM WILL BE SKIPPED. To have them:
  Install what your system calls these Debian packages.
`,
  });
});

test("packagesFor() wants for testing all that starting wants, each once", () => {
  const wanted = packagesFor("test");
  expect(new Set(wanted).size).toBe(wanted.length);
  expect(wanted).toEqual(expect.arrayContaining(packagesFor("start")));
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "slipway-prepare-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Puts a program of our own in front of the machine's. */
function standIn(name: string, script: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
}

function run(purpose: string, env: Record<string, string> = {}) {
  return spawnSync(process.execPath, [join(import.meta.dirname, "prepare.ts"), "--for", purpose], {
    encoding: "utf8",
    env: { ...process.env, PATH: `${folder}:${process.env["PATH"] ?? ""}`, ...env },
  });
}

/** A dpkg that knows all packages but rsync, until the stand-in for apt-get has "installed" it. */
const ALL_BUT_RSYNC = (folderPath: string) =>
  `for name in ${packagesFor("test").join(" ")}; do
  [ "$name" = rsync ] && [ ! -e ${folderPath}/installed ] || echo "$name installed"
done`;

test("prepare.ts never calls apt-get when SLIPWAY_NO_APT is 1", () => {
  standIn("dpkg-query", ALL_BUT_RSYNC(folder));
  standIn("apt-get", `echo "$@" >> ${folder}/calls`);
  const { status, stderr } = run("start", { SLIPWAY_NO_APT: "1" });
  expect(status).toBe(1);
  expect(stderr).toContain("sudo apt-get install -y --no-install-recommends rsync\n");
  expect(() => readFileSync(join(folder, "calls"))).toThrow("ENOENT");
});

test("prepare.ts refreshes the lists of apt-get only when installing fails, then installs", (ctx) => {
  if (process.getuid?.() !== 0) ctx.skip("needs root");
  standIn("dpkg-query", ALL_BUT_RSYNC(folder));
  standIn(
    "apt-get",
    `echo "$@" >> ${folder}/calls
case "$*" in *update*) touch ${folder}/updated;; *) [ -e ${folder}/updated ] && touch ${folder}/installed;; esac`,
  );
  const { status, stderr } = run("start", { SLIPWAY_NO_APT: "0" });
  expect(stderr).toMatch(/^slipway: installing rsync … \d+\.\d s\n$/);
  expect(status).toBe(0);
  expect(readFileSync(join(folder, "calls"), "utf8")).toBe(
    [
      "-o DPkg::Lock::Timeout=60 install -y --no-install-recommends rsync",
      "-o DPkg::Lock::Timeout=60 update",
      "-o DPkg::Lock::Timeout=60 install -y --no-install-recommends rsync",
      "",
    ].join("\n"),
  );
});

test("prepare.ts shows the complaint of apt-get and stops a start, but not the tests, when it cannot install", (ctx) => {
  if (process.getuid?.() !== 0) ctx.skip("needs root");
  standIn("dpkg-query", ALL_BUT_RSYNC(folder));
  standIn("apt-get", "echo E: no such luck >&2; exit 100");
  const start = run("start", { SLIPWAY_NO_APT: "0" });
  expect(start.stderr).toContain("E: no such luck");
  expect(start.status).toBe(1);
  const tests = run("test", { SLIPWAY_NO_APT: "0" });
  expect(tests.stderr).toContain("EVERY TEST THAT NEEDS ONE OF THEM WILL BE SKIPPED");
  expect(tests.status).toBe(0);
});
