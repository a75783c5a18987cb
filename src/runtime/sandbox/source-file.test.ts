import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { listSourceFolder, readSourceFile } from "./source-file.ts";

let folder = "";
let checkout = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "slipway-source-"));
  checkout = join(folder, "checkout");
  mkdirSync(join(checkout, "sub/deep"), { recursive: true });
  writeFileSync(join(checkout, "top.json"), "top");
  writeFileSync(join(checkout, "sub/deep/file"), "deep");
  writeFileSync(join(folder, "secret"), "secret");
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

test.each([
  ["top.json", "top"],
  ["sub/deep/file", "deep"],
  ["./sub/../sub//deep/file", "deep"],
  ["absent", undefined],
  ["sub/absent/file", undefined],
  ["top.json/below", undefined],
  ["../secret", undefined],
  ["sub/../../secret", undefined],
])("readSourceFile() reads %j as %j", async (path, text) => {
  expect(await readSourceFile(checkout, path)).toBe(text);
});

test.each([
  ["a link within", "../top.json", "top"],
  ["a link to a folder within", "deep", undefined],
  ["a link out by dots", "../../secret", undefined],
  ["an absolute link", "/etc/hostname", undefined],
  ["a link that leads nowhere", "nowhere", undefined],
  ["a link to itself", "link", undefined],
])("readSourceFile() follows %s only so far", async (_case, target, text) => {
  symlinkSync(target, join(checkout, "sub/link"));
  if (target === "deep") expect(await readSourceFile(checkout, "sub/link/file")).toBe("deep");
  else expect(await readSourceFile(checkout, "sub/link")).toBe(text);
});

test("readSourceFile() finds nothing where the checkout itself became a link or a file", async () => {
  symlinkSync(folder, join(folder, "link"));
  expect(await readSourceFile(join(folder, "link"), "secret")).toBeUndefined();
  expect(await readSourceFile(join(folder, "secret"), "x")).toBeUndefined();
  expect(await readSourceFile(join(folder, "absent"), "x")).toBeUndefined();
});

test("readSourceFile() does not wait for a pipe, and refuses what is no file or too long", async () => {
  execFileSync("mkfifo", [join(checkout, "pipe")]);
  writeFileSync(join(checkout, "long"), Buffer.alloc(1024 * 1024 + 1));
  await expect(readSourceFile(checkout, "pipe")).rejects.toThrow(/no plain file/);
  await expect(readSourceFile(checkout, "sub")).rejects.toThrow(/no plain file/);
  await expect(readSourceFile(checkout, "long")).rejects.toThrow(/1 MiB/);
});

test("readSourceFile() is not led out by folders that become links while it reads", async () => {
  mkdirSync(join(folder, "outside"));
  writeFileSync(join(folder, "outside/file"), "secret");
  mkdirSync(join(checkout, "flip"));
  writeFileSync(join(checkout, "flip/file"), "inside");
  symlinkSync(join(folder, "outside"), join(checkout, "link"));
  for (let round = 0; round < 300; round++) {
    const reading = readSourceFile(checkout, "flip/file");
    await Promise.resolve();
    renameSync(join(checkout, "flip"), join(checkout, "folder"));
    renameSync(join(checkout, "link"), join(checkout, "flip"));
    const text = await reading;
    expect(["inside", undefined]).toContain(text);
    renameSync(join(checkout, "flip"), join(checkout, "link"));
    renameSync(join(checkout, "folder"), join(checkout, "flip"));
  }
});

test("listSourceFolder() lists what is in a folder within, and nothing of any other", async () => {
  symlinkSync("sub", join(checkout, "link"));
  symlinkSync("..", join(checkout, "out"));
  symlinkSync("/", join(checkout, "root"));
  expect((await listSourceFolder(checkout, "")).toSorted()).toEqual(["link", "out", "root", "sub", "top.json"]);
  for (const path of ["sub", "link", "./sub"]) expect(await listSourceFolder(checkout, path)).toEqual(["deep"]);
  for (const path of ["out", "..", "root", "absent", "top.json"])
    expect(await listSourceFolder(checkout, path)).toEqual([]);
});
