/**
 * How long a person waits for `ssh <login> true` in an environment that is there, beside `kubectl exec true` in the same pod.
 *
 * @module
 */
import { formatMs, median } from "../lib/figures.ts";
import type { ClusterBench } from "../lib/open-cluster-bench.ts";
import { measurePairs } from "../lib/pairs.ts";
import { atMostTimes, type Row } from "../lib/row.ts";
import { timed, timedSsh } from "../lib/timed.ts";

/** Between two connections: people do not connect as fast as they can. */
const PAUSE_MS = 500;

export const clusterConnectRow: Row<ClusterBench> = {
  name: "cluster-connect",
  what: "connect and run `true` in an existing environment, beside `kubectl exec true`, p50",
  limitMs: 90_000,
  measure: async (bench, signal) => {
    const { client, destination, pod, kubectl } = bench;
    const both = {
      ours: () => timedSsh(client, destination, "true"),
      plain: () =>
        timed(kubectl("exec", `--namespace=${pod.namespace}`, pod.pod, `--container=${pod.container}`, "--", "true")),
    };
    const options = { count: bench.isQuick ? 8 : 25, pauseMs: PAUSE_MS };
    const { ours, plain } = await measurePairs(both, options, (act) => {
      signal.throwIfAborted();
      return act();
    });
    const cpu = [ours, plain].map((samples) => formatMs(median(samples.map(({ cpuMs }) => cpuMs))));
    const note = `${options.count} each, in turns; processor time of \`ssh\` ${cpu[0]}, of \`kubectl\` ${cpu[1]}`;
    const about = { what: clusterConnectRow.what, format: formatMs, note, than: "kubectl exec" };
    const p50 = (samples: typeof ours): number => median(samples.map(({ ms }) => ms));
    return [atMostTimes(1.5, about, { baseline: p50(plain), ours: p50(ours) })];
  },
};
