/**
 * Moving files with OpenSSH's own programs and with sshfs: `sftp`, `scp`, `scp -O`.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statfsSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { whyNot } from "../harness/needs.ts";
import { until } from "../harness/wait.ts";
import { useService } from "./use-service.ts";

const service = useService();
const LOGIN = "hello-main";
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** A file of random bytes in a folder of its own. */
function makeFile(name: string, bytes: number): { path: string; folder: string; hash: string } {
  const folder = join(service().as("ada").folder, name);
  mkdirSync(folder);
  const data = randomBytes(bytes);
  writeFileSync(join(folder, "data.bin"), data);
  return { path: join(folder, "data.bin"), folder, hash: sha256(data) };
}

test("sftp puts, gets, lists, renames, links, changes modes, removes, and begins in the checkout", async () => {
  const { path, folder, hash } = makeFile("sftp", 5_000_000);
  const ended = await service()
    .as("ada")
    .sftp(LOGIN, [
      "pwd",
      "mkdir box",
      `put ${path} box/one`,
      "rename box/one box/two",
      "symlink two box/link",
      "chmod 640 box/two",
      "ls -l box",
      `get box/link ${folder}/back`,
      "df -h",
      "rm box/link",
      "rm box/two",
      "rmdir box",
      "-get box/two /dev/null",
      "bye",
    ]);
  expect(ended.exitCode).toBe(0);
  expect(ended.stdout).toContain("Remote working directory: /workspace/hello");
  expect(ended.stdout).toMatch(/-rw-r----- .* 5000000 .*two/);
  expect(ended.stdout).toMatch(/Size\s+Used\s+Avail/);
  expect(ended.stderr).toContain('File "/workspace/hello/box/two" not found');
  expect(sha256(readFileSync(join(folder, "back")))).toBe(hash);
});

test("sftp stops at the first command of a batch that fails, with 1", async () => {
  const ended = await service().as("ada").sftp(LOGIN, ["get nowhere /dev/null", "mkdir after"]);
  expect(ended.exitCode).toBe(1);
  expect(
    (
      await service()
        .as("ada")
        .ssh([`${LOGIN}@slipway`, "test -e after"])
    ).exitCode,
  ).toBe(1);
});

test("sftp goes on with a transfer that was cut", async () => {
  const { path, folder, hash } = makeFile("resumed", 6_000_000);
  await service()
    .as("ada")
    .sftp(LOGIN, [`put ${path} resumed`]);
  writeFileSync(join(folder, "part"), readFileSync(path).subarray(0, 2_345_678));
  const ended = await service()
    .as("ada")
    .sftp(LOGIN, [`reget resumed ${folder}/part`, "rm resumed"]);
  expect(ended.exitCode).toBe(0);
  expect(sha256(readFileSync(join(folder, "part")))).toBe(hash);
});

test("sftp lists a folder of 3,000 files", async () => {
  await service()
    .as("ada")
    .ssh([
      `${LOGIN}@slipway`,
      "mkdir /tmp/full; cd /tmp/full; seq 3000 | sed 's/^/name /' | tr '\\n' '\\0' | xargs -0 touch",
    ]);
  const ended = await service().as("ada").sftp(LOGIN, ["ls -1 /tmp/full"]);
  expect(ended.stdout.match(/^\/tmp\/full\/name \d+\s*$/gm)).toHaveLength(3_000);
});

test.for([
  { form: "scp", args: [] },
  { form: "scp -O", args: ["-O"] },
])("$form moves a file and a tree both ways, with modes and times", async ({ form, args }) => {
  const { run, configFile } = service().as("ada");
  const { path, folder, hash } = makeFile(form.replace(/\W/g, ""), 5_000_000);
  const tree = join(folder, "tree");
  mkdirSync(join(tree, "deep", "er"), { recursive: true });
  writeFileSync(join(tree, "deep", "er", "with space ü"), "text", { mode: 0o751 });
  symlinkSync("with space ü", join(tree, "deep", "er", "link"));
  const scp = (...words: string[]) => run(["scp", "-F", configFile, ...args, "-p", ...words]);
  const remote = `${LOGIN}@slipway`;
  expect(await scp(path, `${remote}:/tmp/scp.bin`)).toMatchObject({ exitCode: 0, stderr: "" });
  expect(await scp(`${remote}:/tmp/scp.bin`, join(folder, "back"))).toMatchObject({ exitCode: 0, stderr: "" });
  expect(sha256(readFileSync(join(folder, "back")))).toBe(hash);
  expect(Math.floor(statSync(join(folder, "back")).mtimeMs / 1_000)).toBe(Math.floor(statSync(path).mtimeMs / 1_000));
  expect(await scp("-r", tree, `${remote}:/tmp/`)).toMatchObject({ exitCode: 0 });
  expect(await scp("-r", `${remote}:/tmp/tree`, join(folder, "tree-back"))).toMatchObject({ exitCode: 0 });
  const file = join(folder, "tree-back/deep/er/with space ü");
  expect([readFileSync(file, "utf8"), statSync(file).mode & 0o777]).toEqual(["text", 0o751]);
  await service().as("ada").ssh([remote, "rm -r /tmp/tree /tmp/scp.bin"]);
});

test.for([
  { form: "scp", args: [] },
  { form: "scp -O", args: ["-O"] },
])("$form of a file that is not there ends with 1 and says so", async ({ args }) => {
  const { run, configFile } = service().as("ada");
  const ended = await run(["scp", "-F", configFile, ...args, `${LOGIN}@slipway:nowhere`, "/dev/null"]);
  expect(ended.exitCode).toBe(1);
  expect(ended.stderr).toMatch(/nowhere.*No such file or directory/);
});

test("scp moves a file from one environment to another", async () => {
  const { ssh, run, configFile } = service().as("ada");
  const [here, there] = [`${LOGIN}@slipway`, "hello-other@slipway"];
  await ssh([here, "head -c 3000000 /dev/urandom >/tmp/between"]);
  const ended = await run(["scp", "-F", configFile, "-3", `${here}:/tmp/between`, `${there}:/tmp/between`]);
  expect(ended.exitCode).toBe(0);
  const [one, two] = await Promise.all([here, there].map((at) => ssh([at, "sha256sum /tmp/between"])));
  expect(one?.stdout).toBe(two?.stdout);
});

test("sftp -s runs the server program that it names, where there is one, and is told where there is none", async (ctx) => {
  const { sftp, ssh } = service().as("ada");
  const absent = await sftp(LOGIN, ["pwd"], ["-s", "/usr/lib/no/such-server"]);
  expect([absent.exitCode, absent.stderr]).toEqual([255, expect.stringMatching(/such-server.*not found|No such file/)]);
  const unknown = await sftp(LOGIN, ["pwd"], ["-s", "made-up"]);
  expect([unknown.exitCode, unknown.stderr]).toEqual([255, expect.stringContaining("subsystem request failed")]);
  const path = "/usr/lib/openssh/sftp-server";
  if ((await ssh([`${LOGIN}@slipway`, `test -x ${path}`])).exitCode !== 0) ctx.skip(`needs ${path} inside`);
  const named = await sftp(LOGIN, ["pwd", "ls server.js"], ["-s", path]);
  expect(named).toMatchObject({ exitCode: 0 });
  expect(named.stdout).toContain("Remote working directory: /workspace/hello");
  expect(named.stdout).toContain("server.js");
});

test("sshfs makes the checkout a folder here", async (ctx) => {
  const lacks = whyNot("sshfs", "fusermount3", "/dev/fuse");
  if (lacks !== undefined) ctx.skip(lacks);
  const { run, start, configFile, folder, ssh } = service().as("ada");
  const at = join(folder, "mounted");
  mkdirSync(at);
  const words = ["-f", "-F", configFile, "-o", "reconnect,cache=no", `${LOGIN}@slipway:/workspace/hello`, at];
  const mounted = start(["sshfs", ...words]);
  try {
    await until("the mount", () => readdirSync(at).includes("server.js") || undefined);
    const data = randomBytes(8_000_000);
    writeFileSync(join(at, "written.bin"), data);
    renameSync(join(at, "written.bin"), join(at, "renamed.bin"));
    symlinkSync("renamed.bin", join(at, "linked"));
    expect(readlinkSync(join(at, "linked"))).toBe("renamed.bin");
    expect(sha256(readFileSync(join(at, "linked")))).toBe(sha256(data));
    expect((await ssh([`${LOGIN}@slipway`, "sha256sum <renamed.bin"])).stdout).toBe(`${sha256(data)}  -\n`);
    expect(statfsSync(at).blocks).toBeGreaterThan(0);
    linkSync(join(at, "renamed.bin"), join(at, "hard"));
    const file = openSync(join(at, "hard"), "r+");
    writeSync(file, "changed", 0);
    fsyncSync(file);
    expect((await ssh([`${LOGIN}@slipway`, "stat -c %h renamed.bin; head -c 7 renamed.bin"])).stdout).toBe(
      "2\nchanged",
    );
    closeSync(file);
    for (const name of ["linked", "hard", "renamed.bin"]) unlinkSync(join(at, name));
    expect((await ssh([`${LOGIN}@slipway`, "git status --porcelain"])).stdout).toBe("");
  } finally {
    await run(["fusermount3", "-u", at]);
    await mounted.ended;
  }
});
