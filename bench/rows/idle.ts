/**
 * What an idle connection costs the gateway in memory: the slope from 100 to 500 of them, all held for some seconds and
 * then asked for a sign of life. Only the gateway's process counts; the `sshd` inside belongs to the environment, and
 * plain `sshd` has one for each connection as well.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { unlessAborted } from "../../src/base/unless-aborted.ts";
import { start } from "../../test/harness/program.ts";
import { formatKilobytes } from "../lib/figures.ts";
import { findFamily, readMemory, type Memory } from "../lib/process-figures.ts";
import type { RawTarget } from "../lib/raw-client.ts";
import { atMost, type Bench, type Outcome, type Row } from "../lib/row.ts";
import { rawTargetOf } from "../lib/raw-target.ts";

/** Time for what connecting left behind to be collected. */
const SETTLE_MS = 3_000;
/** How long all are held. */
const HELD_MS = 8_000;
/** Memory that 500 of the environment's own sshd take, and as much again. */
const NEEDED_BYTES = 4e9;

export const idleRow: Row = {
  name: "idle",
  what: "gateway memory of an idle connection",
  limitMs: 150_000,
  measure: async (bench, signal) => {
    checkRoom();
    const counts = bench.isQuick ? { few: 20, many: 100 } : { few: 100, many: 500 };
    // A fresh process: what earlier rows grew would hide what these connections take.
    await bench.service.stop();
    await bench.service.restart();
    const gateway = (): Memory => readMemory(bench.service.pid);
    const ours = await measureSlope(rawTargetOf(bench), counts, gateway, signal);
    const plain = await measureSlope(plainTarget(bench), { few: 0, many: 50 }, () => sumOf(bench.sshd.pid), signal);
    const note = `${counts.few} → ${counts.many} connections; PSS ${formatKilobytes(ours.pssBytes)} each; sshd: PSS of its processes`;
    const about = { what: `${idleRow.what}, RSS`, format: formatKilobytes, note };
    return [
      atMost(200_000, about, { ours: ours.rssBytes, baseline: plain.pssBytes }),
      holding(counts.many, ours.alive),
    ];
  },
};

function holding(count: number, alive: number): Outcome {
  return {
    what: `${count} idle connections held for ${HELD_MS / 1e3} s, all answering at the end`,
    ours: `${alive}`,
    reach: `${count}`,
    isMet: alive === count,
  };
}

function checkRoom(): void {
  const kB = Number(/^MemAvailable: +([0-9]+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1]);
  if (kB * 1_024 < NEEDED_BYTES)
    throw new Error(`Cannot hold 500 connections: ${kB} kB of memory are free, needs 4 GB`);
}

function plainTarget({ sshd }: Bench): RawTarget {
  const { port, user, client } = sshd;
  return { port, user, hostKey: sshd.hostKey.toString("base64"), identityFile: client.identityFile };
}

/** RSS would count what the processes share once for each. */
function sumOf(pid: number): Memory {
  const pssBytes = findFamily(pid).reduce((sum, member) => sum + readMemory(member).pssBytes, 0);
  return { pssBytes, rssBytes: pssBytes };
}

interface Slope extends Memory {
  readonly alive: number;
}

async function measureSlope(
  target: RawTarget,
  { few, many }: { few: number; many: number },
  read: () => Memory,
  signal: AbortSignal,
): Promise<Slope> {
  const program = join(import.meta.dirname, "../idle-clients.ts");
  const clients = start([process.execPath, program, JSON.stringify(target)]);
  const ask = async (line: string, answer: RegExp): Promise<string> => {
    clients.stdin.write(`${line}\n`);
    const [, number = ""] = await unlessAborted(clients.untilOutput(answer, idleRow.limitMs), signal);
    return number;
  };
  try {
    await ask(`hold ${few}`, new RegExp(`held (${few})\n`));
    await sleep(SETTLE_MS, undefined, { signal });
    const before = read();
    await ask(`hold ${many}`, new RegExp(`held (${many})\n`));
    await sleep(HELD_MS, undefined, { signal });
    const after = read();
    const each = (name: keyof Memory): number => (after[name] - before[name]) / (many - few);
    return {
      rssBytes: each("rssBytes"),
      pssBytes: each("pssBytes"),
      alive: Number(await ask("check", /alive ([0-9]+)\n/)),
    };
  } finally {
    clients.kill();
    await clients.ended;
  }
}
