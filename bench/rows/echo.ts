/**
 * How long a keystroke takes to come back: a line of 8 bytes to `cat` over an open channel, one at a time; alone, and
 * while another connection to the same server downloads as fast as it can.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Running } from "../../test/harness/program.ts";
import { formatMs, quantile } from "../lib/figures.ts";
import { measurePairs } from "../lib/pairs.ts";
import { atMost, compared, type Outcome, type Row, type Server } from "../lib/row.ts";
import { openEcho } from "../lib/echo.ts";

/** The download is under way by then, past its key exchanges. */
const LOAD_BEGINS_MS = 1_500;

export const echoRow: Row = {
  name: "echo",
  what: "echo round trip",
  limitMs: 90_000,
  measure: async (bench, signal) => {
    const rounds = bench.isQuick ? { count: 2, size: 250 } : { count: 6, size: 300 };
    const measure = async (server: Server): Promise<number[]> => {
      signal.throwIfAborted();
      return measureEcho(server, rounds.size);
    };
    const alone = await measurePairs(bench, rounds, measure);
    const loaded = await measurePairs(bench, rounds, async (server) => underLoad(server, () => measure(server)));
    return judge(
      { ours: alone.ours.flat(), plain: alone.plain.flat() },
      { ours: loaded.ours.flat(), plain: loaded.plain.flat() },
    );
  },
};

interface Samples {
  readonly ours: readonly number[];
  readonly plain: readonly number[];
}

function judge(alone: Samples, loaded: Samples): Outcome[] {
  const figures = ({ ours, plain }: Samples, share: number): { baseline: number; ours: number } => ({
    baseline: quantile(plain, share),
    ours: quantile(ours, share),
  });
  const p50 = figures(alone, 0.5);
  const note = `${alone.ours.length} samples each`;
  const about = (what: string): { what: string; format: typeof formatMs; note: string } => ({
    what,
    format: formatMs,
    note,
  });
  return [
    {
      ...compared(about("echo round trip of 8 bytes, p50"), p50),
      reach: "≤ sshd + 0.5 ms",
      isMet: p50.ours <= p50.baseline + 0.5,
    },
    compared(about("echo round trip of 8 bytes, p99"), figures(alone, 0.99)),
    compared(about("echo while another connection downloads at full speed, p50"), figures(loaded, 0.5)),
    atMost(5, about("echo while another connection downloads at full speed, p99"), figures(loaded, 0.99)),
  ];
}

async function measureEcho({ client, destination }: Server, count: number): Promise<number[]> {
  const echo = await openEcho(client, destination);
  try {
    for (let warmUp = 0; warmUp < 20; warmUp++) await echo.once();
    const samples: number[] = [];
    while (samples.length < count) samples.push(await echo.once());
    return samples;
  } finally {
    await echo.close();
  }
}

async function underLoad<Result>({ client, destination }: Server, act: () => Promise<Result>): Promise<Result> {
  const words = ["sh", "-c", `exec ssh -F ${client.configFile} ${destination} 'cat /dev/zero' >/dev/null`];
  const load: Running = client.start(words);
  try {
    await sleep(LOAD_BEGINS_MS);
    return await act();
  } finally {
    load.kill();
    await load.ended;
  }
}
