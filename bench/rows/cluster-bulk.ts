/**
 * How fast bulk data goes into and out of an environment on a cluster, by pipes through `ssh` and by `scp`: beside the raw
 * exec stream, as our own client of it and as `kubectl exec` has it. The time of the connection counts everywhere.
 *
 * @module
 */
import { randomFillSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mustRun, plainEnv, run } from "../../test/harness/program.ts";
import { formatRate, median } from "../lib/figures.ts";
import type { ClusterBench } from "../lib/open-cluster-bench.ts";
import { measureInTurns } from "../lib/pairs.ts";
import { readCpuMs } from "../lib/process-figures.ts";
import { downloadRaw, uploadRaw } from "../lib/raw-exec.ts";
import { atLeastTimes, type Outcome, type Row } from "../lib/row.ts";

const LONGEST_MS = 120_000;

/** Long enough for the 0.1 s of a connection to be little, and for V8 to have compiled what runs. */
const WHOLE = { bytes: 2 ** 30, fileBytes: 2 ** 28, count: 3 };
const QUICK = { bytes: 2 ** 27, fileBytes: 2 ** 27, count: 2 };

interface Passed {
  /** Bytes a second. */
  readonly rate: number;
  /** Processor time of the gateway, in seconds for 10⁹ bytes. */
  readonly gatewayCost: number;
}

export const clusterBulkRow: Row<ClusterBench> = {
  name: "cluster-bulk",
  what: "bulk through `ssh` on the cluster",
  limitMs: 300_000,
  measure: async (bench, signal) => {
    const { bytes, fileBytes, count } = bench.isQuick ? QUICK : WHOLE;
    const pipes = pipesOf(bench, bytes, signal);
    const turn = (acts: readonly (() => Promise<number>)[], of = bytes): Promise<Passed[][]> =>
      measureInTurns(
        acts.map((act) => () => passed(bench, of, act)),
        count,
        signal,
      );
    const files = makeFiles(fileBytes);
    try {
      const [down = [], rawDown = [], kubectlDown = []] = await turn(pipes.down);
      const [up = [], rawUp = [], kubectlUp = []] = await turn(pipes.up);
      const far = `${bench.destination}:copy`;
      const [sent = []] = await turn([() => copy(bench, files.sent, far, fileBytes)], fileBytes);
      const [back = []] = await turn([() => copy(bench, far, files.back, fileBytes)], fileBytes);
      await mustRun(["cmp", files.sent, files.back]);
      const [size, fileSize] = [bytes, fileBytes].map((each) => `${each / 2 ** 20} MiB`);
      return [
        judge(`download of ${size}: \`ssh … head | wc -c\``, down, { [OURS]: rawDown, [KUBECTL]: kubectlDown }),
        judge(`upload of ${size}: \`head | ssh … wc -c\``, up, { [OURS]: rawUp, [KUBECTL]: kubectlUp }),
        judge(`\`scp\` of ${fileSize} up`, sent, { [OURS]: rawUp }),
        judge(`\`scp\` of ${fileSize} down, compared`, back, { [OURS]: rawDown }),
      ].flat();
    } finally {
      rmSync(files.folder, { recursive: true, force: true });
    }
  },
};

/** What holds it back where it is slower than it should be. */
const WHY_SHORT =
  "ssh, gateway and sshd share the processors with API server, kubelet and containerd, which the raw stream has to itself with" +
  " one client; the gateway seals TLS and WebSocket frames besides; by the pod's address none of that is in the way, see below";

const OURS = "raw exec stream, our client";
const KUBECTL = "`kubectl exec`";

/** Ways to have so many bytes pass: through ssh, the raw stream, kubectl. Each returns how many did. */
function pipesOf(bench: ClusterBench, bytes: number, signal: AbortSignal) {
  const { client, destination, pod, kubectl } = bench;
  const ssh = ["ssh", "-F", client.configFile, destination].join(" ");
  const exec = kubectl(
    "exec",
    "--stdin",
    `--namespace=${pod.namespace}`,
    pod.pod,
    `--container=${pod.container}`,
    "--",
  ).join(" ");
  const source = `head -c ${bytes} /dev/zero`;
  return {
    down: [
      () => runPipe(`${ssh} '${source}' | wc -c`, client.env),
      () => downloadRaw(bench, bytes, signal),
      () => runPipe(`${exec} ${source} </dev/null | wc -c`),
    ],
    up: [
      () => runPipe(`${source} | ${ssh} wc -c`, client.env),
      () => uploadRaw(bench, bytes, signal),
      () => runPipe(`${source} | ${exec} sh -c 'head -c ${bytes} | wc -c'`),
    ],
  };
}

/** Runs a pipe that ends in a count of bytes. */
async function runPipe(line: string, env: Readonly<Record<string, string>> = {}): Promise<number> {
  return Number((await mustRun(["sh", "-c", line], { env, timeoutMs: LONGEST_MS })).trim());
}

async function copy({ client }: ClusterBench, from: string, to: string, bytes: number): Promise<number> {
  const words = ["scp", "-F", client.configFile, "-q", from, to];
  const { exitCode, stderr } = await run(words, {
    env: { ...plainEnv(client.folder), ...client.env },
    timeoutMs: LONGEST_MS,
  });
  if (exitCode !== 0) throw new Error(`Cannot measure scp: ${stderr}`);
  return bytes;
}

async function passed({ service }: ClusterBench, bytes: number, act: () => Promise<number>): Promise<Passed> {
  const cpuMs = readCpuMs(service.pid);
  const begunAt = performance.now();
  const count = await act();
  const ms = performance.now() - begunAt;
  if (count !== bytes) throw new Error(`Cannot measure a transfer: ${count} bytes of ${bytes} came through`);
  return { rate: bytes / (ms / 1e3), gatewayCost: (readCpuMs(service.pid) - cpuMs) / 1e3 / (bytes / 1e9) };
}

function judge(
  what: string,
  ours: readonly Passed[],
  baselines: Readonly<Record<string, readonly Passed[]>>,
): Outcome[] {
  const rateOf = (samples: readonly Passed[]): number => median(samples.map(({ rate }) => rate));
  const cost = median(ours.map(({ gatewayCost }) => gatewayCost)).toFixed(2);
  const note = `${ours.length} each, in turns; gateway: ${cost} s of processor time a GB`;
  return Object.entries(baselines).map(([than, plain]) =>
    atLeastTimes(
      0.7,
      { what: `${what}, beside ${than}`, format: formatRate, note, whyShort: WHY_SHORT, than },
      { baseline: rateOf(plain), ours: rateOf(ours) },
    ),
  );
}

function makeFiles(bytes: number): { folder: string; sent: string; back: string } {
  const folder = mkdtempSync(join(tmpdir(), "slipway-bench-files-"));
  const sent = join(folder, "sent");
  writeFileSync(sent, randomFillSync(Buffer.alloc(bytes)));
  return { folder, sent, back: join(folder, "back") };
}
