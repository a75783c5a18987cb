/**
 * `npm run bench`: measures Slipway beside a plain OpenSSH `sshd` on this machine, and prints a Markdown table.
 *
 * `--only <row>` (may be repeated) measures that row, `--quick` with fewer samples, `--write` writes bench/RESULTS.md.
 * Nothing is asserted: a row that falls short says so, a row that fails says why. Its exit code is 1 when a row failed.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { unlessAborted } from "../src/base/unless-aborted.ts";
import { whyNoService } from "../test/harness/needs.ts";
import { describeMachine } from "./lib/machine.ts";
import { openBench } from "./lib/open-bench.ts";
import type { Bench, Outcome, Row } from "./lib/row.ts";
import { writeResults, writeTable } from "./lib/table.ts";
import { accessRow } from "./rows/access.ts";
import { pipesRow, scpRow } from "./rows/bulk.ts";
import { connectRow } from "./rows/connect.ts";
import { createRow } from "./rows/create.ts";
import { echoRow } from "./rows/echo.ts";
import { handshakesRow } from "./rows/handshakes.ts";
import { hostileWindowRow } from "./rows/hostile-window.ts";
import { idleRow } from "./rows/idle.ts";

/** In the order of the table. */
const ROWS: readonly Row[] = [
  connectRow,
  createRow,
  pipesRow,
  scpRow,
  echoRow,
  handshakesRow,
  idleRow,
  hostileWindowRow,
  accessRow,
];

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { only: { type: "string", multiple: true }, quick: { type: "boolean" }, write: { type: "boolean" } },
  });
  const rows = chooseRows(values.only);
  const lacks = whyNoService();
  if (lacks !== undefined) throw new Error(`Cannot measure: ${lacks}`);
  const machine = describeMachine();
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const)
    process.once(name, () => stop.abort(new Error(`Cannot go on: stopped by ${name}`)));
  await using bench = await openBench(values.quick === true);
  const results: { outcomes: Outcome[]; hasFailed: boolean }[] = [];
  for (const row of rows) {
    stop.signal.throwIfAborted();
    results.push(await measure(row, bench, stop.signal));
  }
  const table = writeTable(results.flatMap(({ outcomes }) => outcomes));
  process.stdout.write(`${machine.map((line) => `- ${line}\n`).join("")}\n${table}`);
  if (values.write === true) writeFileSync(join(import.meta.dirname, "RESULTS.md"), writeResults(machine, table));
  return results.some(({ hasFailed }) => hasFailed) ? 1 : 0;
}

function chooseRows(names: readonly string[] | undefined): readonly Row[] {
  const unknown = names?.find((name) => ROWS.every((row) => row.name !== name));
  if (unknown !== undefined) {
    throw new Error(`Cannot measure "${unknown}": it is none of ${ROWS.map(({ name }) => name).join(", ")}`);
  }
  return names === undefined ? ROWS : ROWS.filter(({ name }) => names.includes(name));
}

/** Measures a row within its time; whatever goes wrong stands in its place. */
async function measure(
  row: Row,
  bench: Bench,
  stop: AbortSignal,
): Promise<{ outcomes: Outcome[]; hasFailed: boolean }> {
  process.stderr.write(`measuring ${row.name} …\n`);
  const begunAt = performance.now();
  const late = AbortSignal.timeout(row.limitMs);
  const signal = AbortSignal.any([stop, late]);
  try {
    const outcomes = await unlessAborted(row.measure(bench, signal), signal);
    process.stderr.write(`${writeTable(outcomes)}${((performance.now() - begunAt) / 1e3).toFixed(1)} s\n`);
    return { outcomes, hasFailed: false };
  } catch (error) {
    const why = late.aborted ? `took longer than ${row.limitMs / 1e3} s` : String(error);
    process.stderr.write(`${error instanceof Error ? error.stack : why}\n`);
    return { outcomes: [{ what: row.what, note: `**not measured:** ${why}` }], hasFailed: true };
  }
}

process.exitCode = await main();
