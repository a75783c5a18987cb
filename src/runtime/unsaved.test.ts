import { expect, test } from "vitest";

import { readUnsaved } from "./unsaved.ts";

const part = (kind: string, folder: string, body = "") => `\0\0PART\0\0${kind}\0${folder}\0${body}`;

const said = (status: string, commits: string, stashes = "") => {
  const main = part("status", "/w", status) + part("commits", "/w", `/w/.git\0${commits}`);
  const stdout = `${main}${part("commits", "/w", `stash /w/.git\0${stashes}`)}${part("files", ".")}${part("end", ".")}`;
  return { exitCode: 0, stdout, stderr: "" };
};

test("readUnsaved() reads changed, new and renamed files, and each commit with its branch", () => {
  const status = " M a.txt\0?? new file\0R  to.txt\0from.txt\0D  gone\0";
  const commits = `refs/heads/main\tfirst\0refs/heads/feature/x\tsecond\twith tab\0HEAD\tdetached\0refs/tags/v1\tt\0`;
  expect(readUnsaved(said(status, commits, "stash\tWIP on main\0"))).toEqual({
    changedPaths: ["a.txt", "new file", "to.txt", "gone"],
    changedCount: 4,
    commits: ["main: first", "feature/x: second\twith tab", "HEAD: detached", "tags/v1: t", "stash: WIP on main"],
    commitCount: 5,
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

test("readUnsaved() counts a work tree once that was found twice, and doubts what has too many repositories", () => {
  const twice = part("status", "/wt", " M a\0") + part("status", "/wt", " M a\0");
  const many = Array.from({ length: 60 }, (_, at) => part("commits", `/r${at}`, `/r${at}/.git\0`)).join("");
  const unsaved = readUnsaved({ ...said("", ""), stdout: part("status", "/w") + twice + many + part("end", ".") });
  expect(unsaved).toMatchObject({ changedPaths: ["/wt/a"], changedCount: 1, commitCount: 0 });
  expect(unsaved.doubts).toEqual(["it has more than 50 repositories, and not all were looked at"]);
});

test.each([
  ["git failed", { ...said("", ""), exitCode: 3 }],
  ["the answer is cut", { exitCode: 0, stdout: part("status", "/w", " M a"), stderr: "" }],
  ["nothing could be started", { exitCode: 2, stdout: "", stderr: "sh: 1: Cannot fork" }],
])("readUnsaved() never takes it for clean when %s", (_case, answer) => {
  expect(() => readUnsaved(answer)).toThrow(/Cannot look for unsaved work/);
});
