/**
 * Programs in the environment's pod over the raw exec stream of the API server, by our own client of it: what is there
 * before any SSH.
 *
 * @module
 */
import { once } from "node:events";
import { type Echo, makeOnce } from "./echo.ts";
import type { ClusterBench } from "./open-cluster-bench.ts";

type Raw = Pick<ClusterBench, "api" | "pod">;

const CHUNK = Buffer.alloc(32 * 1_024);

/** Has a program write so many bytes, and counts them. */
export async function downloadRaw({ api, pod }: Raw, bytes: number, signal: AbortSignal): Promise<number> {
  const { stream } = await api.exec({ ...pod, argv: ["head", "-c", String(bytes), "/dev/zero"] }, signal);
  let count = 0;
  stream.on("data", (chunk: Buffer) => (count += chunk.length));
  await once(stream, "end");
  return count;
}

/** Sends a program so many bytes, and returns how many it has counted. */
export async function uploadRaw({ api, pod }: Raw, bytes: number, signal: AbortSignal): Promise<number> {
  // The end of its input would not reach it on old servers: it knows how much there is.
  const { stream } = await api.exec({ ...pod, argv: ["sh", "-c", `head -c ${bytes} | wc -c`] }, signal);
  let said = "";
  stream.on("data", (chunk: Buffer) => (said += chunk.toString("latin1")));
  const ended = once(stream, "end");
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    if (!stream.write(CHUNK.subarray(0, left))) await once(stream, "drain");
  }
  await ended;
  return Number(said.trim());
}

/** Opens `cat`. */
export async function openRawEcho({ api, pod }: Raw, signal: AbortSignal): Promise<Echo> {
  const { stream, ended } = await api.exec({ ...pod, argv: ["cat"] }, signal);
  return {
    once: makeOnce(
      stream,
      stream,
      ended.then((end) => JSON.stringify(end)),
    ),
    close: async () => {
      stream.destroy();
      await ended;
    },
  };
}
