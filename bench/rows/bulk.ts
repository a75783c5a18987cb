/**
 * How fast bulk data goes, by pipes through `ssh` and by `scp`, with the ciphers that a stock client and server choose
 * and with AES-GCM on both. The time of the connection counts on both sides.
 *
 * @module
 */
import { randomFillSync } from "node:crypto";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "../../test/harness/program.ts";
import { formatRate, median } from "../lib/figures.ts";
import { measurePairs } from "../lib/pairs.ts";
import { readCpuMs } from "../lib/process-figures.ts";
import { atLeastTimes, type Bench, type Outcome, type Row, type Server } from "../lib/row.ts";

/** Bytes through a pipe, or as many as pass in `PIPE_SECONDS`. */
const PIPE_BYTES = 2 ** 30;
const PIPE_SECONDS = 5;
const FILE_BYTES = 256 * 2 ** 20;
/** For the pairs of one line of the table. */
const BUDGET_MS = 30_000;

interface Kind {
  readonly label: string;
  /** Arguments for `ssh` and `scp`. */
  readonly options: readonly string[];
  /** What holds it back where it is slower than it should be. */
  readonly whyShort: string;
}

const KINDS: readonly Kind[] = [
  {
    label: "default ciphers",
    options: [],
    whyShort: "client, gateway and the sshd inside share the processors that client and sshd have to themselves",
  },
  {
    label: "both `-c aes128-gcm@openssh.com`",
    options: ["-c", "aes128-gcm@openssh.com"],
    whyShort:
      "client, gateway and the sshd inside share the processors that client and sshd have to themselves, and the" +
      " baseline has no HMAC to make; the gateway opens and seals every byte",
  },
];

/** A transfer: how many bytes passed, in which time. */
interface Passed {
  readonly bytes: number;
  readonly ms: number;
  /** Processor time of the gateway; for sshd the same process did nothing. */
  readonly gatewayMs: number;
}

type Transfer = (server: Server, kind: Kind) => Promise<Omit<Passed, "gatewayMs">>;

export const pipesRow: Row = {
  name: "pipes",
  what: "bulk through `ssh` pipes",
  limitMs: 240_000,
  measure: async (bench, signal) =>
    measureTransfers(bench, signal, {
      "download: `ssh … head -c 1G /dev/zero | wc -c`": download,
      "upload: `head -c 1G /dev/zero | ssh … wc -c`": upload,
    }),
};

export const scpRow: Row = {
  name: "scp",
  what: "`scp` of 256 MiB",
  limitMs: 120_000,
  measure: async (bench, signal) => {
    const files = { sent: join(bench.folder, "sent"), back: join(bench.folder, "back") };
    writeRandomFile(files.sent);
    try {
      return await measureTransfers(bench, signal, {
        "`scp` of 256 MiB up": async (server, kind) => copy(server, kind, files.sent, `${server.destination}:copy`),
        "`scp` of 256 MiB down, compared": async (server, kind) => {
          const passed = await copy(server, kind, `${server.destination}:copy`, files.back);
          // What came back is what was sent: both directions are right.
          await mustRun(["cmp", files.sent, files.back]);
          rmSync(files.back);
          return passed;
        },
      });
    } finally {
      rmSync(files.sent);
    }
  },
};

async function measureTransfers(
  bench: Bench,
  signal: AbortSignal,
  transfers: Readonly<Record<string, Transfer>>,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const kind of KINDS) {
    for (const [what, transfer] of Object.entries(transfers)) {
      const options = { count: bench.isQuick ? 1 : 3, budgetMs: BUDGET_MS };
      const { ours, plain } = await measurePairs(bench, options, async (server) => {
        signal.throwIfAborted();
        const before = readCpuMs(bench.service.pid);
        const passed = await transfer(server, kind);
        return { ...passed, gatewayMs: readCpuMs(bench.service.pid) - before };
      });
      const cpu = median(ours.map(({ gatewayMs, bytes }) => gatewayMs / 1e3 / (bytes / 1e9)));
      const note = `${ours.length} pairs; gateway: ${cpu.toFixed(2)} s of processor time a GB`;
      const about = { what: `${what}, ${kind.label}`, format: formatRate, note, whyShort: kind.whyShort };
      outcomes.push(atLeastTimes(0.7, about, { baseline: rateOf(plain), ours: rateOf(ours) }));
    }
  }
  return outcomes;
}

function rateOf(samples: readonly Passed[]): number {
  return median(samples.map(({ bytes, ms }) => bytes / (ms / 1e3)));
}

const SOURCE = `timeout ${PIPE_SECONDS} head -c ${PIPE_BYTES} /dev/zero`;

async function download({ client, destination }: Server, { options }: Kind): Promise<{ bytes: number; ms: number }> {
  // The remote command is one word for the remote shell.
  return runPipe(client, ["ssh", "-F", client.configFile, ...options, destination, `'${SOURCE}'`, "| wc -c"]);
}

async function upload({ client, destination }: Server, { options }: Kind): Promise<{ bytes: number; ms: number }> {
  return runPipe(client, [SOURCE, "|", "ssh", "-F", client.configFile, ...options, destination, "wc -c"]);
}

/** Runs a pipe that ends in a count of bytes. */
async function runPipe(client: Server["client"], words: readonly string[]): Promise<{ bytes: number; ms: number }> {
  const { stdout, stderr, ms } = await client.run(["sh", "-c", words.join(" ")]);
  const bytes = Number(stdout.trim());
  if (bytes === PIPE_BYTES || (bytes > 0 && ms >= PIPE_SECONDS * 1e3)) return { bytes, ms };
  throw new Error(`Cannot measure a pipe: ${bytes} bytes of ${PIPE_BYTES} came through: ${stderr}`);
}

async function copy(server: Server, kind: Kind, from: string, to: string): Promise<{ bytes: number; ms: number }> {
  const { client } = server;
  const { exitCode, stderr, ms } = await client.run(["scp", "-F", client.configFile, "-q", ...kind.options, from, to]);
  if (exitCode !== 0) throw new Error(`Cannot measure scp with ${server.name}: ${stderr}`);
  return { bytes: FILE_BYTES, ms };
}

function writeRandomFile(path: string): void {
  const block = Buffer.alloc(2 ** 20);
  const file = openSync(path, "w");
  for (let written = 0; written < FILE_BYTES; written += block.length) writeSync(file, randomFillSync(block));
  closeSync(file);
}
