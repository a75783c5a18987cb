/**
 * Checks who imports whom, with the rules of `.dependency-cruiser.cjs`, and that every file of `src/` was read.
 *
 * The second half is not idle: with a TypeScript that has no compiler API, dependency-cruiser reads no file, finds
 * nothing wrong and exits with 0 (seen with typescript 7.0.2).
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";

import { conclude, ROOT, sourceFiles } from "./source-files.ts";

/** What is read of dependency-cruiser's report: its `ICruiseResult`, cut down. */
const Rule = z.object({ name: z.string(), comment: z.string().optional() });
const Violation = z.object({
  from: z.string(),
  to: z.string(),
  rule: z.object({ name: z.string() }),
  cycle: z.array(z.object({ name: z.string() })).optional(),
});
const Report = z.object({
  modules: z.array(z.object({ source: z.string() })),
  summary: z.object({ violations: z.array(Violation), ruleSetUsed: z.object({ forbidden: z.array(Rule) }) }),
});

/** Words every wrong import below `root`, and every file that the check failed to read. */
export function wrongImports(root = ROOT): { complaints: string[]; readCount: number } {
  const folders = ["src", "test", "bench", "tools"].filter((folder) => existsSync(join(root, folder)));
  const program = fileURLToPath(new URL("../../bin/dependency-cruise.mjs", import.meta.resolve("dependency-cruiser")));
  const config = join(ROOT, ".dependency-cruiser.cjs");
  const args = [program, "--config", config, "--output-type", "json", ...folders];
  const run = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 28 });
  if (!run.stdout.startsWith("{")) throw new Error(`Cannot read the report of dependency-cruiser: ${run.stderr}`);
  const { modules, summary } = Report.parse(JSON.parse(run.stdout));
  const reasons = new Map(summary.ruleSetUsed.forbidden.map((rule) => [rule.name, rule.comment]));
  const read = new Set(modules.map((module) => module.source));
  const unread = sourceFiles("src", root).filter((path) => !read.has(path));
  return {
    complaints: [
      ...summary.violations.map((violation) => wordOf(violation, reasons.get(violation.rule.name))),
      ...unread.map((path) => `${path}: dependency-cruiser did not read it, so nothing is known of its imports`),
    ],
    readCount: read.size,
  };
}

function wordOf({ from, to, rule, cycle }: z.infer<typeof Violation>, because = "no reason given"): string {
  const path = cycle === undefined ? to : cycle.map((step) => step.name).join(" → ");
  return `${from} → ${path}\n    ${rule.name}: ${because}`;
}

if (import.meta.main) {
  const { complaints, readCount } = wrongImports();
  conclude(complaints, `directions: ${readCount} modules, none imports what it may not`);
}
