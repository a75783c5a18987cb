/**
 * `rsync` and `git`, whose own programs run at both ends with `ssh` as the pipe between.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Ended } from "../harness/program.ts";
import { useService } from "./use-service.ts";

const service = useService();
const LOGIN = "hello-main@slipway";

async function rsync(...words: readonly string[]): Promise<Ended> {
  const { run, configFile } = service().as("ada");
  return run(["rsync", "-e", `ssh -F ${configFile}`, ...words], { timeoutMs: 60_000 });
}

/** A tree of many small files and a large one. */
function makeTree(name: string, count: number): string {
  const tree = join(service().as("ada").folder, name);
  for (let at = 0; at < count; at++) {
    const folder = join(tree, `folder ${at % 40}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `file-${at}`), randomBytes(1 + ((at * 37) % 3_000)));
  }
  writeFileSync(join(tree, "large"), randomBytes(20_000_000));
  return tree;
}

test("rsync -a moves 2,000 files both ways, then only what changed, and deletes what went", async () => {
  const tree = makeTree("tree", 2_000);
  const back = `${tree}-back`;
  expect((await rsync("-a", `${tree}/`, `${LOGIN}:/tmp/tree/`)).exitCode).toBe(0);
  expect(await rsync("-a", `${LOGIN}:/tmp/tree/`, `${back}/`)).toMatchObject({ exitCode: 0, stderr: "" });
  const { run } = service().as("ada");
  expect(await run(["diff", "-r", tree, back])).toMatchObject({ exitCode: 0, stdout: "" });
  rmSync(join(tree, "folder 3"), { recursive: true });
  writeFileSync(join(tree, "folder 4", "file-4"), "changed");
  const again = await rsync("-a", "--delete", "--itemize-changes", `${tree}/`, `${LOGIN}:/tmp/tree/`);
  const lines = again.stdout.trim().split("\n");
  expect(lines.filter((line) => line.startsWith("*deleting"))).toHaveLength(51);
  expect(lines.filter((line) => line.startsWith("<f"))).toEqual([expect.stringContaining("folder 4/file-4")]);
  // Compared there by checksums: nothing is left to do.
  const compared = await rsync("-acn", "--itemize-changes", `${tree}/`, `${LOGIN}:/tmp/tree/`);
  expect(compared).toMatchObject({ exitCode: 0, stdout: "" });
});

test("rsync sends only the changed part of a large file", async () => {
  const file = join(service().as("ada").folder, "delta");
  const data = randomBytes(8_000_000);
  writeFileSync(file, data);
  await rsync("-a", file, `${LOGIN}:/tmp/delta`);
  writeFileSync(file, Buffer.concat([data.subarray(0, 4_000_000), Buffer.from("inserted"), data.subarray(4_000_000)]));
  const ended = await rsync("-a", "--no-whole-file", "--stats", file, `${LOGIN}:/tmp/delta`);
  const sent = Number(/Total bytes sent: ([\d,]+)/.exec(ended.stdout)?.[1]?.replaceAll(",", ""));
  expect(sent).toBeLessThan(200_000);
  const sums = await Promise.all([
    service().as("ada").run(["sha256sum", file]),
    service().as("ada").ssh([LOGIN, "sha256sum /tmp/delta"]),
  ]);
  expect(sums[0].stdout.slice(0, 64)).toBe(sums[1].stdout.slice(0, 64));
});

test.for([
  { what: "a source that is not there", from: "/tmp/nowhere", exitCode: 23 },
  { what: "a folder it may not read", from: "/tmp/closed/", exitCode: 23 },
])("rsync ends with $exitCode for $what", async ({ from, exitCode }) => {
  await service().as("ada").ssh([LOGIN, "mkdir -m 000 -p /tmp/closed"]);
  const ended = await rsync("-a", `${LOGIN}:${from}`, `${service().as("ada").folder}/got/`);
  expect(ended.exitCode).toBe(exitCode);
});

test("rsync fails with the sentence when the login is refused", async () => {
  const ended = await rsync("-a", "hello-nowhere@slipway:/tmp/", `${service().as("ada").folder}/got/`);
  // The code of ssh, or 12 of its own when it meets the end of the stream first.
  expect([12, 255]).toContain(ended.exitCode);
  expect(ended.stderr).toContain("no repository and branch of yours fits hello-nowhere");
});

/** Runs git here, over ssh. */
async function git(folder: string, ...words: readonly string[]): Promise<Ended> {
  const { run, configFile } = service().as("ada");
  const author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
  return run(["git", ...author, "-C", folder, ...words], {
    env: { GIT_SSH_COMMAND: `ssh -F ${configFile}`, GIT_TRACE_PACKET: "1" },
  });
}

test("git clones from an environment, fetches by protocol 2, and pushes a large commit back", async () => {
  const { folder, ssh } = service().as("ada");
  const clone = join(folder, "clone");
  const cloned = await git(folder, "clone", `${LOGIN}:/workspace/hello`, clone);
  expect(cloned.exitCode).toBe(0);
  // It is a variable that a server has to let in: GIT_PROTOCOL.
  expect(cloned.stderr).toContain("clone< version 2");
  writeFileSync(join(clone, "big.bin"), randomBytes(12_000_000));
  await git(clone, "add", "--all");
  await git(clone, "commit", "--quiet", "--message", "Something large");
  const pushed = await git(clone, "push", "origin", "HEAD:refs/heads/from-laptop");
  expect(pushed.exitCode).toBe(0);
  const here = (await git(clone, "rev-parse", "HEAD")).stdout;
  const there = await ssh([LOGIN, "git rev-parse from-laptop && git fsck --no-dangling"]);
  expect(there).toMatchObject({ exitCode: 0, stdout: here });
});

test("git is refused a push to the branch that is checked out, and says so", async () => {
  const { folder } = service().as("ada");
  const clone = join(folder, "refused");
  await git(folder, "clone", "--quiet", `${LOGIN}:/workspace/hello`, clone);
  await git(clone, "commit", "--quiet", "--allow-empty", "--message", "Nothing");
  const pushed = await git(clone, "push", "origin", "HEAD:main");
  expect(pushed.exitCode).toBe(1);
  expect(pushed.stderr).toContain("refusing to update checked out branch");
});

test("git inside an environment commits under the name of its person", async () => {
  const { ssh } = service().as("ada");
  const commands =
    "git commit --quiet --allow-empty --message x && git log -1 --format='%an <%ae>, %cn' && git reset --quiet --hard HEAD~";
  const ended = await ssh(["hello-other@slipway", commands]);
  expect(ended).toMatchObject({ exitCode: 0, stdout: "ada <ada@localhost>, ada\n" });
});
