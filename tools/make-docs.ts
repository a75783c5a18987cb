/**
 * Writes the pages of `docs/` that code knows better than prose: the faults and the commands; with `--check`, only
 * compares.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { faults } from "../src/base/fault.ts";
import { commandSpecs } from "../src/cli/commands.ts";
import { lobbyCommands } from "../src/gateway/lobby/commands.ts";
import { cliPage } from "./cli-page.ts";
import { faultsPage } from "./faults-page.ts";
import { conclude, ROOT } from "./source-files.ts";

const pages = {
  "docs/faults.md": faultsPage(faults),
  "docs/cli.md": cliPage(commandSpecs, lobbyCommands),
};

const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
const complaints = Object.entries(pages).flatMap(([path, page]) => {
  const file = join(ROOT, path);
  if (!values.check) writeFileSync(file, page);
  return readFileSync(file, "utf8") === page
    ? []
    : [`${path}: not what the code says; run \`node tools/make-docs.ts\``];
});
conclude(complaints, "docs: the generated pages say what the code says");
