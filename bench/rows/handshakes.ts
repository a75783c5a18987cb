/**
 * How many connections a second there can be, and what each costs the gateway.
 *
 * @module
 */
import { formatMs } from "../lib/figures.ts";
import { readCpuMs } from "../lib/process-figures.ts";
import { compared, type Row, type Server } from "../lib/row.ts";

const IN_PARALLEL = 4;

export const handshakesRow: Row = {
  name: "handshakes",
  what: `connections a second, \`ssh … true\`, ${IN_PARALLEL} in parallel`,
  limitMs: 90_000,
  measure: async (bench, signal) => {
    const count = bench.isQuick ? 20 : 120;
    const before = readCpuMs(bench.service.pid);
    const ours = await connectMany(bench.ours, count, signal);
    const cpuMs = (readCpuMs(bench.service.pid) - before) / count;
    const plain = await connectMany(bench.plain, count, signal);
    const format = (rate: number): string => `${rate.toFixed(1)} /s`;
    const note = `${count} each`;
    return [
      compared({ what: handshakesRow.what, format, note }, { baseline: plain, ours }),
      {
        what: "processor time of the gateway for one of them",
        ours: formatMs(cpuMs),
        note: "both legs, nothing of the environment",
      },
    ];
  },
};

/** @returns connections a second */
async function connectMany({ client, destination, name }: Server, count: number, signal: AbortSignal): Promise<number> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      signal.throwIfAborted();
      const { exitCode, stderr } = await client.ssh([destination, "true"]);
      if (exitCode !== 0) throw new Error(`Cannot connect to ${name} any more: ${stderr}`);
    }
  };
  const begunAt = performance.now();
  await Promise.all(Array.from({ length: IN_PARALLEL }, worker));
  return count / ((performance.now() - begunAt) / 1e3);
}
