import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

import { mapRows, opensWell, wrongMap } from "./check-map.ts";

test("mapRows() reads folders and the file to open first, and no other table", () => {
  const page =
    "| folder | what |\n| --- | --- |\n| `src/base/` | ground | `fault.ts` |\n| `src/cli/` | words | |\n| `make` | a task |\n";
  expect(mapRows(page)).toEqual([{ folder: "base", openFirst: "fault.ts" }, { folder: "cli" }]);
});

test.each([
  ["a docstring for the module", "/**\n * Counts.\n *\n * @module\n */\nexport const a = 1;\n", true],
  ["a program with its first line", "#!/usr/bin/env node\n/**\n * Counts.\n *\n * @module\n */\n", true],
  ["nothing before the code", "export const a = 1;\n", false],
  ["a docstring of the first export alone", "/** Counts. */\nexport const a = 1;\n/**\n * @module\n */\n", false],
  ["no word but the tag", "/**\n * @module\n */\n", false],
])("opensWell() judges %s", (_, text, well) => {
  expect(opensWell(text)).toBe(well);
});

test("wrongMap() names a folder without a line, a line without a folder, a file that is gone, a silent module", () => {
  const root = mkdtempSync(join(tmpdir(), "slipway-map-"));
  const head = "/**\n * Does.\n *\n * @module\n */\n";
  for (const folder of ["base", "wire", "empty"]) mkdirSync(join(root, "src", folder), { recursive: true });
  writeFileSync(join(root, "src/base/fault.ts"), head);
  writeFileSync(join(root, "src/base/fault.test.ts"), "");
  writeFileSync(join(root, "src/wire/shape.ts"), "export const a = 1;");
  writeFileSync(join(root, "ARCHITECTURE.md"), "| `src/base/` | ground | `gone.ts` |\n| `src/gone/` | nothing | |\n");
  expect(wrongMap(root)).toEqual([
    "ARCHITECTURE.md: the code map has no line for src/wire/",
    "ARCHITECTURE.md: the code map has a line for src/gone/, which does not exist",
    "ARCHITECTURE.md: src/base/gone.ts, to open first, does not exist",
    "src/wire/shape.ts: does not open with a comment that says what it is for and ends with @module",
  ]);
  rmSync(root, { recursive: true });
});
