/**
 * `npm run bench`: measures Slipway beside a plain OpenSSH `sshd` on this machine, and on a cluster beside `kubectl` where
 * one is given (`KUBECONFIG`) or asked for (`SLIPWAY_TEST_CLUSTER=build`), and prints Markdown tables.
 *
 * `--only <row>` (may be repeated) measures that row, `--quick` with fewer samples, `--write` writes bench/RESULTS.md.
 * Nothing is asserted: a row that falls short says so, a row that fails says why. Its exit code is 1 when a row failed.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { unlessAborted } from "../src/base/unless-aborted.ts";
import { whyNoService } from "../test/harness/needs.ts";
import { describeMachine } from "./lib/machine.ts";
import { openBench } from "./lib/open-bench.ts";
import { type ClusterBench, openClusterBench, whyNoCluster } from "./lib/open-cluster-bench.ts";
import type { Outcome, Row } from "./lib/row.ts";
import { writeResults, writeTable, writeTables } from "./lib/table.ts";
import { accessRow } from "./rows/access.ts";
import { pipesRow, scpRow } from "./rows/bulk.ts";
import { clusterBulkRow } from "./rows/cluster-bulk.ts";
import { clusterColdRow } from "./rows/cluster-cold.ts";
import { clusterConnectRow } from "./rows/cluster-connect.ts";
import { clusterEchoRow } from "./rows/cluster-echo.ts";
import { clusterPathRow } from "./rows/cluster-path.ts";
import { clusterPoolRow } from "./rows/cluster-pool.ts";
import { clusterRequestsRow } from "./rows/cluster-requests.ts";
import { clusterRestRow } from "./rows/cluster-rest.ts";
import { clusterWarmRow } from "./rows/cluster-warm.ts";
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

/** In the order of the table of the cluster. The one that fills the cluster is the last. */
const CLUSTER_ROWS: readonly Row<ClusterBench>[] = [
  clusterWarmRow,
  clusterColdRow,
  clusterConnectRow,
  clusterBulkRow,
  clusterEchoRow,
  clusterPathRow,
  clusterRequestsRow,
  clusterPoolRow,
  clusterRestRow,
];

interface Measured {
  readonly outcomes: readonly Outcome[];
  readonly hasFailed: boolean;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { only: { type: "string", multiple: true }, quick: { type: "boolean" }, write: { type: "boolean" } },
  });
  const isQuick = values.quick === true;
  const names = namesToMeasure(values.only);
  const lacks = whyNoService();
  if (lacks !== undefined) throw new Error(`Cannot measure: ${lacks}`);
  const machine = describeMachine();
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const)
    process.once(name, () => stop.abort(new Error(`Cannot go on: stopped by ${name}`)));
  const measured = await measureHere(names, isQuick, stop.signal);
  const onCluster = await measureOnCluster(names, isQuick, stop.signal);
  const results = {
    machine,
    outcomes: outcomesOf(measured),
    cluster: onCluster.cluster,
    clusterOutcomes: outcomesOf(onCluster.measured),
  };
  process.stdout.write(writeTables(results));
  if (values.write === true) writeFileSync(join(import.meta.dirname, "RESULTS.md"), writeResults(results));
  return [...measured, ...onCluster.measured].some(({ hasFailed }) => hasFailed) ? 1 : 0;
}

function outcomesOf(measured: readonly Measured[]): Outcome[] {
  return measured.flatMap(({ outcomes }) => outcomes);
}

function namesToMeasure(asked: readonly string[] | undefined): ReadonlySet<string> {
  const all = [...ROWS, ...CLUSTER_ROWS].map(({ name }) => name);
  const unknown = asked?.find((name) => !all.includes(name));
  if (unknown === undefined) return new Set(asked ?? all);
  throw new Error(`Cannot measure "${unknown}": it is none of ${all.join(", ")}`);
}

async function measureHere(names: ReadonlySet<string>, isQuick: boolean, stop: AbortSignal): Promise<Measured[]> {
  const rows = ROWS.filter(({ name }) => names.has(name));
  if (rows.length === 0) return [];
  await using bench = await openBench(isQuick);
  return await measureAll(rows, bench, stop); // before the bench goes
}

/** Measures on the cluster; without one every line says why it was not run. */
async function measureOnCluster(
  names: ReadonlySet<string>,
  isQuick: boolean,
  stop: AbortSignal,
): Promise<{ readonly measured: readonly Measured[]; readonly cluster: readonly string[] }> {
  const rows = CLUSTER_ROWS.filter(({ name }) => names.has(name));
  if (rows.length === 0) return { measured: [], cluster: [] };
  const lacks = whyNoCluster(process.env);
  if (lacks !== undefined) {
    const measured = rows.map(({ what }) => ({ outcomes: [{ what, note: `not run: ${lacks}` }], hasFailed: false }));
    return { measured, cluster: [] };
  }
  await using bench = await openClusterBench(process.env, isQuick);
  return { measured: await measureAll(rows, bench, stop), cluster: bench.about };
}

async function measureAll<On>(rows: readonly Row<On>[], on: On, stop: AbortSignal): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (const row of rows) {
    stop.throwIfAborted();
    measured.push(await measure(row, on, stop));
  }
  return measured;
}

/** Measures a row within its time; whatever goes wrong stands in its place. */
async function measure<On>(row: Row<On>, on: On, stop: AbortSignal): Promise<Measured> {
  process.stderr.write(`measuring ${row.name} …\n`);
  const begunAt = performance.now();
  const late = AbortSignal.timeout(row.limitMs);
  const signal = AbortSignal.any([stop, late]);
  const measuring = row.measure(on, signal);
  try {
    const outcomes = await unlessAborted(measuring, signal);
    process.stderr.write(`${writeTable(outcomes, "baseline")}${((performance.now() - begunAt) / 1e3).toFixed(1)} s\n`);
    return { outcomes, hasFailed: false };
  } catch (error) {
    const why = late.aborted ? `took longer than ${row.limitMs / 1e3} s` : String(error);
    process.stderr.write(`${error instanceof Error ? error.stack : why}\n`);
    await atMost(row.clearMs ?? 0, measuring);
    return { outcomes: [{ what: row.what, note: `**not measured:** ${why}` }], hasFailed: true };
  }
}

/** Waits for the end of something, however it ends, but no longer than that. */
async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  const late = sleep(ms, undefined, { signal: over.signal });
  await Promise.race([Promise.allSettled([work]), late]);
  over.abort();
  late.catch(() => {}); // it was not needed
}

process.exitCode = await main();
