/**
 * How well a pool keeps up with people who come one after another, each to a branch of their own.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { HOST } from "../../test/harness/client.ts";
import { openClusterService } from "../lib/cluster-service.ts";
import { formatMs, median } from "../lib/figures.ts";
import type { ClusterBench } from "../lib/open-cluster-bench.ts";
import { readClaim, readMakingTimes, untilFull } from "../lib/pool-figures.ts";
import { compared, type Outcome, type Row } from "../lib/row.ts";
import { timedSsh, type Timed } from "../lib/timed.ts";

const POOL_SIZE = 5;
const EVERY_MS = 2_000;

export const clusterPoolRow: Row<ClusterBench> = {
  name: "cluster-pool",
  what: "a pool under claims",
  limitMs: 300_000,
  clearMs: 300_000,
  measure: async (bench, signal) => {
    const count = bench.isQuick ? 10 : 20;
    const branches = Array.from({ length: count }, (_, number) => `claim-${number}`);
    await using opened = await openClusterService(bench, { branches, poolSize: POOL_SIZE });
    const { service } = opened;
    await untilFull(service, { size: POOL_SIZE, claimed: 0 }, signal);
    const before = readMakingTimes(service).length;
    const claims: Promise<Timed>[] = [];
    for (const branch of branches) {
      const claim = timedSsh(service.as("ada"), `many-${branch}@${HOST}`, "true");
      claim.catch(() => {}); // seen below
      claims.push(claim);
      await sleep(EVERY_MS, undefined, { signal });
    }
    const done = await Promise.all(claims);
    const hits = done.filter(({ stderr }) => readClaim(stderr).isHit);
    const begunAt = performance.now();
    await untilFull(service, { size: POOL_SIZE, claimed: hits.length }, signal);
    const fullAfterMs = performance.now() - begunAt;
    return judge(done, { refillMs: median(readMakingTimes(service).slice(before)), fullAfterMs });
  },
};

function judge(
  done: readonly Timed[],
  { refillMs, fullAfterMs }: { refillMs: number; fullAfterMs: number },
): Outcome[] {
  const pattern = `${done.length} claims, one every ${EVERY_MS / 1e3} s, pool of ${POOL_SIZE}`;
  const claims = done.map(({ ms, stderr }) => ({ ms, ...readClaim(stderr) }));
  const hits = claims.filter(({ isHit }) => isHit);
  const whys = new Map<string, number>();
  for (const claim of claims) if (!claim.isHit) whys.set(claim.why, (whys.get(claim.why) ?? 0) + 1);
  const misses = [...whys].map(([why, count]) => `${count} × ${why}`);
  const waits = (of: typeof claims): string => (of.length === 0 ? "none" : formatMs(median(of.map(({ ms }) => ms))));
  const missed = claims.filter(({ isHit }) => !isHit);
  return [
    {
      what: "pool hit rate",
      ours: `${Math.round((hits.length / claims.length) * 100)} %`,
      note: [pattern, `p50 of hits ${waits(hits)}, of misses ${waits(missed)}`, ...misses].join("; "),
    },
    compared(
      {
        what: "pool refill: one member, from its record to ready, p50",
        format: formatMs,
        note: `at most 2 at once; the pool was full ${formatMs(fullAfterMs)} after the last claim`,
      },
      { ours: refillMs },
    ),
  ];
}
