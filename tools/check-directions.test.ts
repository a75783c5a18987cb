import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

import { wrongImports } from "./check-directions.ts";
import { ROOT } from "./source-files.ts";

/** One wrong import a line, and the rule that must catch it. */
const PLANTED: readonly (readonly [rule: string, path: string, text: string])[] = [
  ["base-is-the-floor", "src/base/a.ts", `import { w } from "../wire/w.ts"; export const a = w;`],
  ["wire-only-describes", "src/wire/a.ts", `import { p } from "../policy/p.ts"; export const a = p;`],
  ["policy-only-decides", "src/policy/a.ts", `import { s } from "../store/s.ts"; export const a = s;`],
  ["policy-is-pure", "src/policy/b.ts", `import { readFileSync } from "node:fs"; export const b = readFileSync;`],
  ["policy-is-pure", "src/policy/c.ts", `import { z } from "zod"; export const c = z;`],
  ["drivers-do-not-meet", "src/ssh/a.ts", `import { s } from "../store/s.ts"; export const a = s;`],
  ["drivers-do-not-meet", "src/ssh/b.ts", `import { g } from "../gateway/g.ts"; export const b = g;`],
  ["domains-do-not-meet", "src/gateway/a.ts", `import type { C } from "../controller/c.ts"; export type A = C;`],
  ["nobody-imports-cmd", "test/a.test.ts", `import { m } from "../src/cmd/m.ts"; export const a = m;`],
  ["src-stands-alone", "src/cmd/a.ts", `import { fake } from "../../test/fake.ts"; export const a = fake;`],
  [
    "sqlite-is-the-stores",
    "src/forge/a.ts",
    `import { DatabaseSync } from "node:sqlite"; export const a = DatabaseSync;`,
  ],
  ["no-cycles", "src/cli/a.ts", `import { b } from "./b.ts"; export const a = (): unknown => b;`],
  ["resolvable", "src/cli/c.ts", `import { nowhere } from "./nowhere.ts"; export const c = nowhere;`],
  ["npm-package-kysely", "src/forge/b.ts", `import { Kysely } from "kysely"; export const b = Kysely;`],
  ["npm-package-has-an-owner", "src/runtime/a.ts", `import { test } from "vitest"; export const a = test;`],
];

const RIGHT: readonly (readonly [path: string, text: string])[] = [
  ["src/wire/w.ts", `import { z } from "zod"; export const w = z;`],
  ["src/policy/p.ts", `import { w } from "../wire/w.ts"; export const p = w;`],
  ["src/policy/p.test.ts", `import { readFileSync } from "node:fs"; export const unused = readFileSync;`],
  [
    "src/store/s.ts",
    `import { Kysely } from "kysely"; import { p } from "../policy/p.ts"; export const s = [Kysely, p];`,
  ],
  ["src/gateway/g.ts", `import { s } from "../store/s.ts"; import { b } from "../ssh/ok.ts"; export const g = [s, b];`],
  ["src/ssh/ok.ts", `export const b = 1;`],
  ["src/controller/c.ts", `export type C = string;`],
  ["src/cli/b.ts", `import { a } from "./a.ts"; export const b = (): unknown => a;`],
  ["src/cmd/m.ts", `import { g } from "../gateway/g.ts"; export const m = g;`],
  ["test/fake.ts", `export const fake = 1;`],
];

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "slipway-directions-"));
  symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
  for (const name of ["package.json", "tsconfig.json"]) cpSync(join(ROOT, name), join(root, name));
  for (const [path, text] of [...PLANTED.map(([, path, text]) => [path, text] as const), ...RIGHT]) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
});
afterAll(() => {
  rmSync(root, { recursive: true });
});

test("wrongImports() names each planted import with its rule, and none of the right ones", () => {
  const { complaints } = wrongImports(root);
  for (const [rule, path] of PLANTED) {
    expect(
      complaints.some((line) => line.startsWith(`${path} → `) && line.includes(`\n    ${rule}: `)),
      `${rule} ${path}`,
    ).toBe(true);
  }
  for (const [path] of RIGHT) {
    const wrong = complaints.filter((line) => line.startsWith(`${path} → `) && !line.includes("no-cycles"));
    expect(wrong).toEqual([]);
  }
});

test("wrongImports() complains of a file that was not read", () => {
  mkdirSync(join(root, "src/base/node_modules"), { recursive: true });
  writeFileSync(join(root, "src/base/node_modules/hidden.ts"), "export const hidden = 1;");
  expect(wrongImports(root).complaints).toContainEqual(
    "src/base/node_modules/hidden.ts: dependency-cruiser did not read it, so nothing is known of its imports",
  );
});
