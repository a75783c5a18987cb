import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mustRun } from "../../../test/harness/program.ts";
import { findRevision, listMirrorFolder, readMirrorFile } from "./sources.ts";

let folder = "";
const mirror = (): string => join(folder, "mirror.git");
const gitIn = (...words: string[]) => mustRun(["git", "-C", mirror(), ...words]);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "slipway-sources-"));
  const tree = join(folder, "tree");
  const git = (...words: string[]) =>
    mustRun(["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", tree, ...words]);
  await mustRun(["git", "init", "-q", "-b", "main", tree]);
  writeFileSync(join(tree, "small.json"), "{}\n");
  writeFileSync(join(tree, "large.json"), "x".repeat(1_048_577));
  mkdirSync(join(tree, "folder/below"), { recursive: true });
  writeFileSync(join(tree, "folder/below/file"), "");
  writeFileSync(join(tree, "folder/ünder one"), "");
  symlinkSync("/etc/passwd", join(tree, "link.json"));
  await git("add", ".");
  await git("commit", "-q", "-m", "one");
  await mustRun(["git", "clone", "-q", "--bare", tree, mirror()]);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test("readMirrorFile() reads a file of a branch, and nothing that is not there, too large or beyond it", async () => {
  const read = (path: string, branch = "main") => readMirrorFile(mirror(), `refs/heads/${branch}`, path);
  expect(await read("small.json")).toBe("{}\n");
  expect(await read("none.json")).toBeUndefined();
  expect(await read("small.json", "other")).toBeUndefined();
  expect(await read("large.json")).toBeUndefined();
  expect(await read("link.json")).toBe("/etc/passwd");
  expect(await read("../../etc/passwd")).toBeUndefined();
});

test("listMirrorFolder() lists what is in a folder of a branch, and nothing that is no folder of it", async () => {
  const list = (path: string) => listMirrorFolder(mirror(), "refs/heads/main", path);
  expect(await list("folder")).toEqual(["below", "ünder one"]);
  for (const path of ["absent", "small.json", "link.json", "../.."]) expect(await list(path)).toEqual([]);
});

const find = (branch: string, more: { fromBranch?: string; last?: { commit: string; branch: string } } = {}) => {
  const { last, ...from } = more;
  return findRevision({ repository: "hello", mirrorPath: mirror(), originUrl: "", branch, ...from }, last);
};

test("findRevision() is the tip of the branch, and of the one that it starts from while its own is not on the forge", async () => {
  const commit = (await gitIn("rev-parse", "main")).trim();
  expect(await find("main")).toEqual({ commit, branch: "main", warnings: [] });
  expect(await find("new", { fromBranch: "main" })).toEqual({ commit, branch: "main", warnings: [] });
  // An environment made of a new branch had the manifests of the branch before for ever.
  const pushed = (
    await gitIn("-c", "user.name=a", "-c", "user.email=a@b", "commit-tree", "-m", "x", "main^{tree}")
  ).trim();
  await gitIn("branch", "new", pushed);
  const last = { commit, branch: "main" };
  expect(await find("new", { fromBranch: "main", last })).toEqual({ commit: pushed, branch: "new", warnings: [] });
});

// One whose branch had been merged and deleted could not be woken again, with work in it that nobody had pushed.
test("findRevision() is what was read last of a branch that was deleted, and says so", async () => {
  const commit = (await gitIn("rev-parse", "main")).trim();
  const last = { commit, branch: "merged" };
  const found = await find("merged", { last, fromBranch: "main" });
  expect(found).toMatchObject(last);
  expect(found.warnings).toEqual([
    `the branch merged is not on the forge any more: this environment is as its commit ${commit.slice(0, 12)} defines it`,
  ]);
});

test("findRevision() refuses when nothing of it is there any more", async () => {
  const last = { commit: "0123456789012345678901234567890123456789", branch: "merged" };
  for (const more of [{}, { last }])
    await expect(find("merged", more)).rejects.toMatchObject({ code: "repository.unreached" });
});
