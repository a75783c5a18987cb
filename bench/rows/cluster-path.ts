/**
 * Sessions by the address of the pod beside sessions through the API server: two services that run inside of the cluster, alike
 * but for `path`. From outside, where the other rows are measured, there is only the one.
 *
 * @module
 */
import { findOwnBy } from "../../test/cluster/any-cluster.ts";
import { ensureImages } from "../../test/cluster/ensure-images.ts";
import { type Client, HOST } from "../../test/harness/client.ts";
import { mustRun, plainEnv } from "../../test/harness/program.ts";
import { type InsideService, openInsideService } from "../../test/kubernetes/open-inside-service.ts";
import { openEcho } from "../lib/echo.ts";
import { formatMs, formatRate, median } from "../lib/figures.ts";
import type { ClusterBench } from "../lib/open-cluster-bench.ts";
import { measureInTurns } from "../lib/pairs.ts";
import { compared, type Outcome, type Row } from "../lib/row.ts";
import { timedSsh } from "../lib/timed.ts";

const WHAT = "sessions by the pod's address";
const DESTINATION = `many-main@${HOST}`;
const LONGEST_MS = 120_000;

export const clusterPathRow: Row<ClusterBench> = {
  name: "cluster-path",
  what: `${WHAT}, beside exec`,
  limitMs: 600_000,
  clearMs: 60_000,
  measure: async (bench, signal) => {
    const cluster = findOwnBy(bench.kubeconfig);
    if (cluster === undefined) return [{ what: WHAT, note: "not run: needs a cluster of our own" }];
    await ensureImages(cluster, ["gateway"]);
    const open = (path: "exec" | "podIP"): Promise<InsideService> =>
      openInsideService(cluster, {
        repositories: { many: { definition: null } },
        cluster: { path },
        logLevel: "info",
      });
    await using byExec = await open("exec");
    await using byAddress = await open("podIP");
    const both = [byAddress.ada, byExec.ada];
    for (const client of both) await timedSsh(client, DESTINATION, "true"); // makes its environment
    const outcomes = await measureBoth(both, bench.isQuick, signal);
    const failures = await byAddress.events("kubernetes.path-failed");
    if (failures.length > 0) throw new Error(`Cannot measure: the address failed: ${JSON.stringify(failures)}`);
    return outcomes;
  },
};

async function measureBoth(both: readonly Client[], isQuick: boolean, signal: AbortSignal): Promise<Outcome[]> {
  const turns = <Sample>(count: number, act: (client: Client) => Promise<Sample>): Promise<Sample[][]> =>
    measureInTurns(
      both.map((client) => () => act(client)),
      count,
      signal,
    );
  const bytes = isQuick ? 2 ** 27 : 2 ** 28;
  const size = `${bytes / 2 ** 20} MiB`;
  const connects = await turns(isQuick ? 8 : 25, async (client) => (await timedSsh(client, DESTINATION, "true")).ms);
  const echoes = await turns(isQuick ? 2 : 6, (client) => echoP50(client));
  const downs = await turns(isQuick ? 2 : 3, (client) =>
    rateOf(client, bytes, (ssh, head) => `${ssh} '${head}' | wc -c`),
  );
  const ups = await turns(isQuick ? 2 : 3, (client) => rateOf(client, bytes, (ssh, head) => `${head} | ${ssh} wc -c`));
  return [
    line("connect and run `true`, p50", formatMs, connects),
    line("echo round trip of 8 bytes, p50", formatMs, echoes),
    line(`download of ${size}`, formatRate, downs),
    line(`upload of ${size}`, formatRate, ups),
  ];
}

function line(what: string, format: (value: number) => string, [ours = [], baseline = []]: number[][]): Outcome {
  const about = {
    what: `${WHAT}: ${what}, beside exec`,
    format,
    note: `${ours.length} each, in turns; both from inside`,
  };
  return compared(about, { ours: median(ours), baseline: median(baseline) });
}

async function echoP50(client: Client): Promise<number> {
  const echo = await openEcho(client, DESTINATION);
  try {
    for (let warmUp = 0; warmUp < 20; warmUp++) await echo.once();
    const samples: number[] = [];
    while (samples.length < 250) samples.push(await echo.once());
    return median(samples);
  } finally {
    await echo.close();
  }
}

/** Bytes a second through a pipe that ends in their count. */
async function rateOf(client: Client, bytes: number, pipe: (ssh: string, head: string) => string): Promise<number> {
  const text = pipe(`ssh -F ${client.configFile} ${DESTINATION}`, `head -c ${bytes} /dev/zero`);
  const env = { ...plainEnv(client.folder), ...client.env };
  const begunAt = performance.now();
  const count = Number((await mustRun(["sh", "-c", text], { env, timeoutMs: LONGEST_MS })).trim());
  const ms = performance.now() - begunAt;
  if (count !== bytes) throw new Error(`Cannot measure a transfer: ${count} bytes of ${bytes} came through`);
  return bytes / (ms / 1e3);
}
