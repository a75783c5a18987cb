/**
 * Words `docs/faults.md` from the table in `src/base/fault.ts`.
 *
 * @module
 */
import type { Blame } from "../src/base/fault.ts";

type Table = Readonly<Record<string, { blame: Blame; retry: boolean; exit: number; means: string }>>;

const WHO: Readonly<Record<Blame, string>> = {
  caller: "the person",
  operator: "the operator",
  us: "Slipway's authors",
};

const HEAD = `# Faults

Every failure that Slipway foresees. The code is in the log and in \`--json\` answers; it is never renamed or reused.
The exit code is that of \`slip\` and of \`ssh slip@host …\`. Written by \`tools/make-docs.ts\` from
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
