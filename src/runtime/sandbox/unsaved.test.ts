import { expect, test } from "vitest";

import { readUnsaved } from "./unsaved.ts";

const PART = "\0\0PART\0\0";

const said = (status: string, commits: string, stashes = "") => {
  return { exitCode: 0, stdout: [status, commits, stashes].join(PART), stderr: "" };
};

test("readUnsaved() reads changed, new and renamed files, and each commit with its branch", () => {
  const status = " M a.txt\0?? new file\0R  to.txt\0from.txt\0D  gone\0";
  const commits = `refs/heads/main\tfirst\0refs/heads/feature/x\tsecond\twith tab\0${"a".repeat(40)}\tdetached\0`;
  expect(readUnsaved(said(status, commits, "stash\tWIP on main\0"))).toEqual({
    changedPaths: ["a.txt", "new file", "to.txt", "gone"],
    changedCount: 4,
    commits: ["main: first", "feature/x: second\twith tab", "HEAD: detached", "stash: WIP on main"],
    commitCount: 4,
  });
});

test("readUnsaved() reads a clean checkout", () => {
  expect(readUnsaved(said("", ""))).toEqual({ changedPaths: [], changedCount: 0, commits: [], commitCount: 0 });
});

test("readUnsaved() names twenty and counts all", () => {
  const status = Array.from({ length: 30 }, (_, at) => `?? f${at}\0`).join("");
  const commits = Array.from({ length: 25 }, (_, at) => `refs/heads/main\tc${at}\0`).join("");
  const unsaved = readUnsaved(said(status, commits));
  expect([unsaved.changedPaths.length, unsaved.changedCount]).toEqual([20, 30]);
  expect([unsaved.commits.length, unsaved.commitCount]).toEqual([20, 25]);
});

test.each([
  ["git failed", { exitCode: 1, stdout: `${PART}${PART}`, stderr: "fatal: no" }],
  ["the answer is cut", { exitCode: 0, stdout: ` M a${PART}`, stderr: "" }],
])("readUnsaved() never takes it for clean when %s", (_case, answer) => {
  expect(() => readUnsaved(answer)).toThrow(/Cannot look for unsaved work/);
});
