import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isBranchName } from "./branch-name.ts";

test.each(["main", "feature/x", "a.b", "ümlaut", "v1.2-rc", "@a", "x@y", "a{b"])("isBranchName() takes %j", (name) => {
  expect(isBranchName(name)).toBe(true);
});

test.each([
  ...["", "@", "HEAD", "-x", "--force", ".a", "a/.b", "a..b", "a.", "a.lock", "a.lock/b", "a b", "a~b", "a^b", "a:b"],
  ...["a?b", "a*b", "a[b", "a\\b", "a@{b", "/a", "a/", "a//b", "a\nb", "a\u0000b", "a\u202eb", "x".repeat(201)],
])("isBranchName() refuses %j", (name) => {
  expect(isBranchName(name)).toBe(false);
});

test("isBranchName() takes nothing that git refuses", () => {
  const part = fc.constantFrom(
    ..."a b . / - @ { } ~ ^ : ? * [ \\ \u0001".split(" "),
    " ",
    "..",
    ".lock",
    "//",
    "@{",
    "HEAD",
    "ü",
  );
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
      const name = parts.join("");
      if (!isBranchName(name)) return;
      expect([name, spawnSync("git", ["check-ref-format", "--branch", name]).status]).toEqual([name, 0]);
    }),
    { numRuns: 300 },
  );
});
