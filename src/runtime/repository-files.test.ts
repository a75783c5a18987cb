import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";

import { isBranchName } from "./repository-files.ts";

test("isBranchName() takes no name that git refuses", () => {
  const odd = fc.constantFrom(
    "a",
    "/",
    ".",
    "..",
    "@",
    "{",
    "~",
    "^",
    ":",
    "?",
    "*",
    "[",
    "\\",
    " ",
    "\t",
    ".lock",
    "-",
    "é",
    "\x7f",
  );
  const names = fc.array(odd, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(names, (name) => {
      const gitTakes = spawnSync("git", ["check-ref-format", `refs/heads/${name}`]).status === 0;
      if (isBranchName(name)) expect([name, gitTakes]).toEqual([name, true]);
    }),
    { numRuns: 150 },
  );
});

test.each(["main", "feature/x-1", "a.b", "@x", "release/2026.11", "fix-ü"])("isBranchName() takes %j", (name) => {
  expect(isBranchName(name)).toBe(true);
});

test.each(["", "@", "../x", "a//b", "/a", "a/", ".hidden", "a/.b", "x.lock", "a b", "a..b", "a@{1}", "a\nb"])(
  "isBranchName() refuses %j",
  (name) => {
    expect(isBranchName(name)).toBe(false);
  },
);
