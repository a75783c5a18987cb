import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mustRun } from "../../../test/harness/program.ts";
import { listMirrorFolder, readMirrorFile, revisionOf } from "./sources.ts";

let folder = "";
const mirror = (): string => join(folder, "mirror.git");

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
  const read = (path: string, branch = "main") => readMirrorFile(mirror(), revisionOf({ branch }), path);
  expect(await read("small.json")).toBe("{}\n");
  expect(await read("none.json")).toBeUndefined();
  expect(await read("small.json", "other")).toBeUndefined();
  expect(await read("large.json")).toBeUndefined();
  expect(await read("link.json")).toBe("/etc/passwd");
  expect(await read("../../etc/passwd")).toBeUndefined();
});

test("listMirrorFolder() lists what is in a folder of a branch, and nothing that is no folder of it", async () => {
  const list = (path: string) => listMirrorFolder(mirror(), revisionOf({ branch: "main" }), path);
  expect(await list("folder")).toEqual(["below", "ünder one"]);
  for (const path of ["absent", "small.json", "link.json", "../.."]) expect(await list(path)).toEqual([]);
});

test("revisionOf() is the branch that a new one starts from, where there is one", () => {
  expect(revisionOf({ branch: "new" })).toBe("refs/heads/new");
  expect(revisionOf({ branch: "new", fromBranch: "main" })).toBe("refs/heads/main");
});
