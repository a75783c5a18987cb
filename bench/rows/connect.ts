/**
 * How long a person waits for `ssh <login> true` in an environment that is there: as a stock client and a stock server
 * agree, and with the same key exchange on both (the one that OpenSSH 9.2 prefers with itself, sntrup761, takes it 100 ms
 * of processor time; Slipway does not have it).
 *
 * @module
 */
import { formatMs, median } from "../lib/figures.ts";
import { measurePairs } from "../lib/pairs.ts";
import { atMostTimes, type Bench, type Outcome, type Row } from "../lib/row.ts";

/** Between two connections: people do not connect as fast as they can (`rows/handshakes.ts` does). */
const PAUSE_MS = 400;
const SAME_KEX = ["-o", "KexAlgorithms=curve25519-sha256"];

export const connectRow: Row = {
  name: "connect",
  what: "connect and run `true` in an existing environment, p50",
  limitMs: 60_000,
  measure: async (bench, signal) => [
    await measureConnect(bench, { what: connectRow.what, options: [] }, signal),
    await measureConnect(bench, { what: `${connectRow.what}, curve25519 on both`, options: SAME_KEX }, signal),
  ],
};

async function measureConnect(
  bench: Bench,
  { what, options }: { what: string; options: readonly string[] },
  signal: AbortSignal,
): Promise<Outcome> {
  const count = bench.isQuick ? 8 : 25;
  const { ours, plain } = await measurePairs(bench, { count, pauseMs: PAUSE_MS }, async (server) => {
    signal.throwIfAborted();
    const { exitCode, stderr, ms } = await server.client.ssh([...options, server.destination, "true"]);
    if (exitCode !== 0) throw new Error(`Cannot measure a connection: ${server.name} said ${stderr}`);
    return ms;
  });
  const note = `${count} each, in turns; slowest ${formatMs(Math.max(...ours))} against ${formatMs(Math.max(...plain))}`;
  return atMostTimes(1.5, { what, format: formatMs, note }, { baseline: median(plain), ours: median(ours) });
}
