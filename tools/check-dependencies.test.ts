import { expect, test } from "vitest";

import { wrongDependencies } from "./check-dependencies.ts";

const GOOD = {
  manifest: JSON.stringify({ dependencies: { zod: "4.6.7" }, devDependencies: { vitest: "5.1.1" } }),
  owners: JSON.stringify({ zod: ["base", "wire"] }),
  page: "| `zod` | 4.6.7 | checks shapes | `src/base/`, `src/wire/` |\n| `vitest` | 5.1.1 | runs tests | |\n",
};

test("wrongDependencies() finds nothing where all agree", () => {
  expect(wrongDependencies(GOOD)).toEqual([]);
});

test.each([
  ["a range", { manifest: GOOD.manifest.replace("4.6.7", "^4.6.7") }, `package.json: zod is not pinned: "^4.6.7"`],
  ["no row", { page: GOOD.page.replace(/^.*\n/, "") }, "docs/dependencies.md: zod has no row"],
  [
    "another version",
    { page: GOOD.page.replace("5.1.1", "5.1.0") },
    "docs/dependencies.md: vitest is 5.1.1, not 5.1.0",
  ],
  ["no reason", { page: GOOD.page.replace("runs tests", "") }, "docs/dependencies.md: vitest does not say why"],
  [
    "a row too many",
    { page: `${GOOD.page}| \`ws\` | 8.0.0 | sockets | |\n` },
    "docs/dependencies.md: ws has a row and is not in package.json",
  ],
  ["no owner", { owners: "{}" }, "tools/package-owners.json: zod has no owner"],
  [
    "another owner",
    { owners: GOOD.owners.replace(`"base",`, "") },
    "docs/dependencies.md: the only importer of zod is `src/wire/`",
  ],
])("wrongDependencies() finds %s", (_, changed, complaint) => {
  expect(wrongDependencies({ ...GOOD, ...changed })).toContain(complaint);
});
