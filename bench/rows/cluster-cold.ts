/**
 * How long a person waits for the first connection to a branch where no pool has anything ready: beside what it takes to have
 * `kubectl` run a pod of the same image, wait until it is ready, and run `true` in it.
 *
 * @module
 */
import { HOST } from "../../test/harness/client.ts";
import { mustRun } from "../../test/harness/program.ts";
import { writeSteps } from "../lib/banner.ts";
import { formatMs, median } from "../lib/figures.ts";
import { FILE_COUNT } from "../lib/open-bench.ts";
import { CLUSTER_BRANCH_COUNT, type ClusterBench } from "../lib/open-cluster-bench.ts";
import { measurePairs } from "../lib/pairs.ts";
import { atMostTimes, type Row } from "../lib/row.ts";
import { timed, timedSsh } from "../lib/timed.ts";

/** What was made before is settled by then. */
const PAUSE_MS = 1_000;

/** What holds it back where it is slower than it should be. */
const WHY_SHORT =
  "ours has a namespace, a volume claim and the toolbox's container before its own, where the baseline has one container";

const WAIT = ["--for=condition=Ready", "--timeout=100s"];

export const clusterColdRow: Row<ClusterBench> = {
  name: "cluster-cold",
  what:
    `first connection, which makes the environment (${FILE_COUNT} files), to the end of \`true\`,` +
    " beside `kubectl run`, `wait` until Ready and `exec true`, p50",
  limitMs: 400_000, // pods of baselines are deleted in between, which takes an old kubelet up to a minute
  measure: async (bench, signal) => {
    const { client, kubectl, image } = bench;
    const count = bench.isQuick ? 3 : CLUSTER_BRANCH_COUNT;
    const [ours, plain] = [counted("new"), counted("plain")];
    const within = (...args: readonly string[]): readonly string[] =>
      kubectl(`--namespace=${bench.namespace}`, ...args);
    const runAndEnter = async (name: string): Promise<{ ms: number; stderr: string }> => {
      const made = ["run", name, `--image=${image}`, "--image-pull-policy=Never", "--command", "--", "sleep", "600"];
      const steps = [made, ["wait", ...WAIT, `pod/${name}`], ["exec", name, "--", "true"]];
      let ms = 0;
      for (const step of steps) ms += (await timed(within(...step))).ms;
      await mustRun(within("delete", "pod", name, "--now"), { timeoutMs: 60_000 });
      return { ms, stderr: "" };
    };
    const both = {
      ours: () => timedSsh(client, `many-${ours()}@${HOST}`, "true"),
      plain: () => runAndEnter(plain()),
    };
    const samples = await measurePairs(both, { count, pauseMs: PAUSE_MS }, (act) => {
      signal.throwIfAborted();
      return act();
    });
    const steps = writeSteps(samples.ours.map(({ stderr }) => stderr));
    const note = `${count} each, in turns; it tells: ${steps}`;
    const about = { what: clusterColdRow.what, format: formatMs, note, whyShort: WHY_SHORT, than: "kubectl" };
    const p50 = (all: readonly { ms: number }[]): number => median(all.map(({ ms }) => ms));
    return [atMostTimes(1.3, about, { baseline: p50(samples.plain), ours: p50(samples.ours) })];
  },
};

/** Makes names that are new each time. */
function counted(prefix: string): () => string {
  let next = 0;
  return () => `${prefix}-${next++}`;
}
