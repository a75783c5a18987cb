import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const LOCK = {
  packages: {
    "": { name: "sample" },
    "node_modules/zod": { version: "4.0.0", integrity: "sha512-zod" },
    "node_modules/node-other": { version: "26.0.0", integrity: "sha512-other", optional: true },
  },
};
const INSTALLED = { packages: { "node_modules/zod": LOCK.packages["node_modules/zod"] } };

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "slipway-bootstrap-"));
  for (const folder of ["tools", "bin", "node_modules/.bin"]) mkdirSync(join(root, folder), { recursive: true });
  cpSync(join(import.meta.dirname, "bootstrap.mjs"), join(root, "tools/bootstrap.mjs"));
  writeFileSync(join(root, "package-lock.json"), JSON.stringify(LOCK));
  writeFileSync(join(root, "node_modules/.bin/node"), "");
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

function installed(record: unknown): void {
  writeFileSync(join(root, "node_modules/.package-lock.json"), JSON.stringify(record));
}

/** Runs the bootstrap with an `npm` of ours. */
function run(npm: string, ...words: string[]) {
  writeFileSync(join(root, "bin/npm"), `#!/bin/sh\ncd ${root} && echo "$@" >> calls && echo "$PATH" > path\n${npm}\n`);
  chmodSync(join(root, "bin/npm"), 0o755);
  const path = [join(root, "node_modules/.bin"), join(root, "bin"), process.env["PATH"]].join(":");
  return spawnSync(process.execPath, [join(root, "tools/bootstrap.mjs"), ...words], {
    encoding: "utf8",
    env: { PATH: path },
  });
}

const read = (name: string) => readFileSync(join(root, name), "utf8");

test("bootstrap.mjs says and runs nothing when the packages are those of the lock file", () => {
  installed(INSTALLED);
  const { status, stderr, stdout } = run("");
  expect({ status, stderr, stdout }).toEqual({ status: 0, stderr: "", stdout: "" });
  expect(() => read("calls")).toThrow("ENOENT");
});

test("bootstrap.mjs installs on a clean clone in one line, with the machine's own Node", () => {
  const { status, stderr } = run(`echo noise; echo '${JSON.stringify(INSTALLED)}' > node_modules/.package-lock.json`);
  expect(stderr).toMatch(/^slipway: installing the locked npm packages \(they are not installed\) … \d+\.\d s\n$/);
  expect(status).toBe(0);
  expect(read("calls")).toBe("ci\n");
  expect(read("path")).not.toContain("node_modules/.bin");
});

test.each([
  ["another version", { version: "3.0.0", integrity: "sha512-zod" }],
  ["other contents", { version: "4.0.0", integrity: "sha512-else" }],
  ["nothing", undefined],
])("bootstrap.mjs installs again when it finds %s of a package", (_, entry) => {
  installed({ packages: { "node_modules/zod": entry } });
  const { stderr } = run(`echo '${JSON.stringify(INSTALLED)}' > node_modules/.package-lock.json`);
  expect(stderr).toContain("(zod is not the one of the lock file) … ");
  expect(read("calls")).toBe("ci\n");
});

test("bootstrap.mjs leaves the packages for development out of a start, unless somebody develops there", () => {
  const dev = { version: "5.0.0", integrity: "sha512-vitest", dev: true };
  writeFileSync(
    join(root, "package-lock.json"),
    JSON.stringify({ packages: { ...LOCK.packages, "node_modules/vitest": dev } }),
  );
  const install = `echo '${JSON.stringify(INSTALLED)}' > node_modules/.package-lock.json`;
  expect(run(install, "--for", "start").status).toBe(0);
  expect(run("", "--for", "start")).toMatchObject({ status: 0, stderr: "" });
  expect(read("calls")).toBe("ci --omit=dev\n");
  expect(run("exit 3").stderr).toContain("(vitest is not the one of the lock file)");
  mkdirSync(join(root, "node_modules/vitest"));
  expect(run("exit 3", "--for", "start").stderr).toContain("(vitest is not the one of the lock file)");
  expect(read("calls")).toBe("ci --omit=dev\nci\nci\n");
});

test("bootstrap.mjs shows all that npm said and stops when the install fails", () => {
  const { status, stderr } = run("echo out; echo E404 >&2; exit 3");
  expect(stderr).toContain("failed: npm ci ended with 3\n");
  expect(stderr).toContain("out\n");
  expect(stderr).toContain("E404\n");
  expect(status).toBe(1);
});

test("bootstrap.mjs installs again on the pinned Node when the machine's own made npm leave a package out", () => {
  const binding = { version: "1.0.0", optional: true, os: ["linux"], cpu: [process.arch] };
  writeFileSync(
    join(root, "package-lock.json"),
    JSON.stringify({ packages: { ...LOCK.packages, "node_modules/binding": binding } }),
  );
  const whole = { packages: { ...INSTALLED.packages, "node_modules/binding": binding } };
  writeFileSync(join(root, "node_modules/.bin/node"), "the pinned one");
  const { status, stderr } = run(`case "$PATH" in *slipway-node-*)
  [ "$(cat "\${PATH%%:*}/node")" = "the pinned one" ] && echo '${JSON.stringify(whole)}' ;;
*) echo '${JSON.stringify(INSTALLED)}' ;; esac > node_modules/.package-lock.json`);
  expect(stderr).toMatch(/… \d+\.\d s\n$/);
  expect(status).toBe(0);
  expect(read("calls")).toBe("ci\nci\n");
});

test("bootstrap.mjs links the pinned Node where npm 10 lost the link, without installing again", () => {
  installed(INSTALLED);
  rmSync(join(root, "node_modules/.bin/node"));
  mkdirSync(join(root, `node_modules/node-linux-${process.arch}/bin`), { recursive: true });
  writeFileSync(join(root, `node_modules/node-linux-${process.arch}/bin/node`), "the pinned one");
  const { status, stderr } = run("");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(read("node_modules/.bin/node")).toBe("the pinned one");
});

test("bootstrap.mjs fails when there is no pinned Node after the install", () => {
  installed(INSTALLED);
  rmSync(join(root, "node_modules/.bin/node"));
  const { status, stderr } = run("");
  expect(stderr).toContain(`failed: no pinned Node for linux ${process.arch}\n`);
  expect(status).toBe(1);
});
