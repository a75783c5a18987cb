/**
 * How long a keystroke takes to come back from a pod: a line of 8 bytes to `cat` over an open stream, one at a time, through
 * `ssh`, through the raw exec stream and through `kubectl exec`.
 *
 * @module
 */
import { plainEnv } from "../../test/harness/program.ts";
import { type Echo, openEcho, openProgramEcho } from "../lib/echo.ts";
import { formatMs, quantile } from "../lib/figures.ts";
import type { ClusterBench } from "../lib/open-cluster-bench.ts";
import { measureInTurns } from "../lib/pairs.ts";
import { openRawEcho } from "../lib/raw-exec.ts";
import { compared, type Row } from "../lib/row.ts";

export const clusterEchoRow: Row<ClusterBench> = {
  name: "cluster-echo",
  what: "echo round trip on the cluster",
  limitMs: 120_000,
  measure: async (bench, signal) => {
    const { client, destination, pod, kubectl } = bench;
    const { count, size } = bench.isQuick ? { count: 2, size: 250 } : { count: 6, size: 300 };
    const exec = kubectl(
      "exec",
      "--stdin",
      `--namespace=${pod.namespace}`,
      pod.pod,
      `--container=${pod.container}`,
      "--",
      "cat",
    );
    const opens: readonly (() => Promise<Echo>)[] = [
      () => openEcho(client, destination),
      () => openRawEcho(bench, signal),
      async () => openProgramEcho(exec, plainEnv("/nonexistent")),
    ];
    const samples = await measureInTurns(
      opens.map((open) => () => measureEcho(open, size)),
      count,
      signal,
    );
    const [ours = [], raw = [], byKubectl = []] = samples.map((some) => some.flat());
    const line = (name: string, share: number, baseline: readonly number[], than: string) =>
      compared(
        {
          what: `echo round trip of 8 bytes, ${name}, beside ${than}`,
          format: formatMs,
          note: `${ours.length} samples each`,
        },
        { ours: quantile(ours, share), baseline: quantile(baseline, share) },
      );
    return [
      line("p50", 0.5, raw, "the raw exec stream"),
      line("p99", 0.99, raw, "the raw exec stream"),
      line("p50", 0.5, byKubectl, "`kubectl exec`"),
      line("p99", 0.99, byKubectl, "`kubectl exec`"),
    ];
  },
};

async function measureEcho(open: () => Promise<Echo>, count: number): Promise<number[]> {
  const echo = await open();
  try {
    for (let warmUp = 0; warmUp < 20; warmUp++) await echo.once();
    const samples: number[] = [];
    while (samples.length < count) samples.push(await echo.once());
    return samples;
  } finally {
    await echo.close();
  }
}
