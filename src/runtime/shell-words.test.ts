import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";

import { isVariableName, makeExports, quoteWord } from "./shell-words.ts";

test("quoteWord() makes words that a real shell reads back byte for byte", () => {
  const words = fc.array(fc.string({ unit: "binary" }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(words, (drawn) => {
      const given = drawn.map((word) => word.replaceAll("\0", "").toWellFormed());
      const said = execFileSync("/bin/sh", ["-c", `printf '%s\\0' ${given.map(quoteWord).join(" ")}`]);
      expect(said.toString("utf8").split("\0").slice(0, -1)).toEqual(given);
    }),
    { numRuns: 40 },
  );
});

test("quoteWord() refuses a NUL, which no argument can hold", () => {
  expect(() => quoteWord("a\0b")).toThrow(/NUL/);
});

test("makeExports() sets variables that a shell can hold, runs nothing of their values, and leaves out the others", () => {
  const env = { A: "$(touch /nowhere)", B: "it's\n`two` lines", "C-D": "no", "E;id": "no", "": "no", PATH: "/usr/bin" };
  const said = execFileSync("/bin/sh", ["-c", `${makeExports(env)}env -0`], { env: {} }).toString("utf8");
  const seen = said.split("\0").filter((line) => !/^(PWD|OLDPWD|_|)=|^$/.test(line));
  expect(seen.sort()).toEqual(["A=$(touch /nowhere)", "B=it's\n`two` lines", "PATH=/usr/bin"]);
});

test.each([
  ["PATH", true],
  ["_x9", true],
  ["9x", false],
  ["a.b", false],
  ["", false],
  ["x=y", false],
])("isVariableName() says of %j: %s", (name, is) => {
  expect(isVariableName(name)).toBe(is);
});
