/**
 * Writes `docs/faults.md` from the table in `src/base/fault.ts`; with `--check`, only compares.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { type Blame, faults } from "../src/base/fault.ts";
import { conclude, ROOT } from "./source-files.ts";

type Table = Readonly<Record<string, { blame: Blame; retry: boolean; exit: number; means: string }>>;

const WHO: Readonly<Record<Blame, string>> = {
  caller: "the person",
  operator: "the operator",
  us: "Slipway's authors",
};

const HEAD = `# Faults

Every failure that Slipway foresees. The code is in the log and in \`--json\` answers; it is never renamed or reused.
The exit code is that of \`slip\` and of \`ssh slip@host …\`. Written by \`tools/make-faults.ts\` from
\`src/base/fault.ts\`: change it there.

| code | means | who can act | worth trying again | exit |
| --- | --- | --- | --- | --- |
`;

/** Words the page. */
export function faultsPage(table: Table): string {
  const rows = Object.entries(table).map(
    ([code, { means, blame, retry, exit }]) =>
      `| \`${code}\` | ${means} | ${WHO[blame]} | ${retry ? "yes" : "no"} | ${exit} |\n`,
  );
  return HEAD + rows.join("");
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
  const path = join(ROOT, "docs", "faults.md");
  const page = faultsPage(faults);
  if (!values.check) writeFileSync(path, page);
  const same = readFileSync(path, "utf8") === page;
  conclude(
    same ? [] : ["docs/faults.md: not what src/base/fault.ts says; run `node tools/make-faults.ts`"],
    "faults: docs/faults.md says what src/base/fault.ts says",
  );
}
