/**
 * How long a person waits for the first connection to a branch when a pool has an environment ready.
 *
 * @module
 */
import { HOST } from "../../test/harness/client.ts";
import { writeSteps } from "../lib/banner.ts";
import { openClusterService } from "../lib/cluster-service.ts";
import { formatMs, median } from "../lib/figures.ts";
import type { ClusterBench } from "../lib/open-cluster-bench.ts";
import { readClaim, untilFull } from "../lib/pool-figures.ts";
import { atMost, type Row } from "../lib/row.ts";
import { timedSsh, type Timed } from "../lib/timed.ts";

const POOL_SIZE = 3;

export const clusterWarmRow: Row<ClusterBench> = {
  name: "cluster-warm",
  what: "first connection to a branch, from a warm pool, to the end of `true`, p50",
  limitMs: 240_000,
  clearMs: 300_000,
  measure: async (bench, signal) => {
    const count = bench.isQuick ? 4 : 12;
    const branches = Array.from({ length: count }, (_, number) => `warm-${number}`);
    await using opened = await openClusterService(bench, { branches, poolSize: POOL_SIZE });
    const { service } = opened;
    const samples: Timed[] = [];
    for (const [claimed, branch] of branches.entries()) {
      // All of the pool is there again: what is measured has the machine to itself.
      await untilFull(service, { size: POOL_SIZE, claimed }, signal);
      const sample = await timedSsh(service.as("ada"), `many-${branch}@${HOST}`, "true");
      const claim = readClaim(sample.stderr);
      if (!claim.isHit) throw new Error(`Cannot measure a claim: the pool gave nothing: ${claim.why}`);
      samples.push(sample);
    }
    const times = samples.map(({ ms }) => ms);
    const client = formatMs(median(samples.map(({ cpuMs }) => cpuMs)));
    const note =
      `${count} new branches; slowest ${formatMs(Math.max(...times))};` +
      ` processor time of \`ssh\` itself ${client}; it tells: ${writeSteps(samples.map(({ stderr }) => stderr))}`;
    return [atMost(400, { what: clusterWarmRow.what, format: formatMs, note }, { ours: median(times) })];
  },
};
