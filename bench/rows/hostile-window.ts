/**
 * What a client costs that opens a window of 4 GiB, has data sent to it and never reads: nothing, beyond what the kernel
 * buffers.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { message } from "../../src/ssh/numbers.ts";
import type { Transport } from "../../src/ssh/transport.ts";
import { WireReader, WireWriter } from "../../src/ssh/wire.ts";
import { formatMegabytes } from "../lib/figures.ts";
import { readMemory } from "../lib/process-figures.ts";
import { connectRaw } from "../lib/raw-client.ts";
import { rawTargetOf } from "../lib/raw-target.ts";
import { atMost, type Bench, type Row } from "../lib/row.ts";

const WINDOW_BYTES = 0xffff_ffff;
const PACKET_BYTES = 32_768;
const COMMAND = "head -c 2G /dev/zero";
/** Time for what connecting left behind to be collected. */
const SETTLE_MS = 2_000;
/** How long the gateway is watched. */
const WATCHED_MS = 6_000;

export const hostileWindowRow: Row = {
  name: "hostile",
  what: "gateway memory above idle under a client with a 4 GiB window that never reads",
  limitMs: 60_000,
  measure: async (bench, signal) => {
    await bench.service.stop();
    await bench.service.restart();
    // Idle, but not untouched: what a first connection loads stays.
    await bench.ours.client.ssh([bench.ours.destination, "true"]);
    await sleep(SETTLE_MS, undefined, { signal });
    const idle = readMemory(bench.service.pid).rssBytes;
    const most = await watch(bench, signal);
    const note = `\`${COMMAND}\`; ${formatMegabytes(most)} at most in ${WATCHED_MS / 1e3} s, idle ${formatMegabytes(idle)}`;
    return [atMost(16e6, { what: hostileWindowRow.what, format: formatMegabytes, note }, { ours: most - idle })];
  },
};

async function watch(bench: Bench, signal: AbortSignal): Promise<number> {
  const client = await openGreedy(bench, signal);
  try {
    let most = 0;
    const until = performance.now() + WATCHED_MS;
    while (performance.now() < until) {
      most = Math.max(most, readMemory(bench.service.pid).rssBytes);
      await sleep(20, undefined, { signal });
    }
    return most;
  } finally {
    client.destroy("the watching is over");
  }
}

/** Starts the command and stops reading with the first data. */
async function openGreedy(bench: Bench, signal: AbortSignal): Promise<Transport> {
  const { promise: flowing, resolve, reject } = Promise.withResolvers<undefined>();
  const transport = await connectRaw(
    rawTargetOf(bench),
    {
      message: (payload) => {
        if (payload[0] === message.channelOpenConfirmation) {
          const channel = new WireReader(payload, 5).uint32();
          transport.send(writeExec(channel));
        } else if (payload[0] === message.channelData) {
          transport.pause();
          resolve(undefined);
        }
      },
      drained: () => {},
      ended: ({ text }) => reject(new Error(`Cannot be a greedy client: ${text}`)),
    },
    signal,
  );
  const open = new WireWriter().byte(message.channelOpen).string("session");
  transport.send(open.uint32(0).uint32(WINDOW_BYTES).uint32(PACKET_BYTES).done());
  await flowing;
  return transport;
}

function writeExec(channel: number): Buffer {
  const request = new WireWriter().byte(message.channelRequest).uint32(channel).string("exec");
  return request.boolean(true).string(COMMAND).done();
}
