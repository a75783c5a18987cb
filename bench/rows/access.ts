/**
 * What a login spends on finding out whether a person may enter, and what 10,000 repositories of 5,000 people take.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { AccessFigures, Loaded } from "../lib/access-program.ts";
import { formatMs, quantile } from "../lib/figures.ts";
import { atMost, type Outcome, type Row } from "../lib/row.ts";

const WARM_MOST_MS = 1;
const INDEX_MOST_BYTES = 50e6;

export const accessRow: Row = {
  name: "access",
  what: "whether a person may enter, by what a forge said",
  limitMs: 240_000,
  measure: async (bench, signal) => {
    const folder = await mkdtemp(join(bench.folder, "access-"));
    const program = join(import.meta.dirname, "../lib/access-program.ts");
    const options = { signal, maxBuffer: 64 * 2 ** 20 };
    const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", program, folder], options);
    return outcomes(JSON.parse(stdout) as AccessFigures);
  },
};

function outcomes({ warmUs, coldMs, sparse, dense }: AccessFigures): Outcome[] {
  const warmMs = warmUs.map((us) => us / 1e3);
  const format = formatMs;
  const p99 = (samples: readonly number[]): string => `p99 ${formatMs(quantile(samples, 0.99))}`;
  const warm = { what: "decision about a person, from memory, p50", format, note: p99(warmMs) };
  const cold = "decision about a person, a GitHub on loopback asked, p50";
  const note = `${p99(coldMs)}; the time of that GitHub, in the same process, is in it`;
  return [
    atMost(WARM_MOST_MS, warm, { ours: quantile(warmMs, 0.5) }),
    { what: cold, ours: formatMs(quantile(coldMs, 0.5)), note },
    indexOf("10,000 repositories with 30 people each of 5,000, in memory", sparse),
    indexOf("the same with all 5,000 in each", dense),
  ];
}

function indexOf(what: string, { bytes, loadMs }: Loaded): Outcome {
  const format = (value: number): string => `${(value / 1e6).toFixed(1)} MB`;
  return atMost(INDEX_MOST_BYTES, { what, format, note: `loaded in ${formatMs(loadMs)}` }, { ours: bytes });
}
