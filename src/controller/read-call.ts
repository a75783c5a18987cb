/**
 * Reads what somebody inside an environment calls to say.
 *
 * @module
 */
import type { Duplex } from "node:stream";

/** More than any question of git's: its host and path have 255 and 4,096 bytes at the very most, and then no forge. */
const CALL_BYTES = 4_096;

/**
 * Reads until an empty line or the end of input.
 *
 * @returns `undefined` for more than 4 KiB, or when the caller has hung up
 */
export async function readCall(stream: Duplex): Promise<string | undefined> {
  const read = Promise.withResolvers<string | undefined>();
  const chunks: Buffer[] = [];
  let byteCount = 0;
  const text = (): string => Buffer.concat(chunks).toString("utf8");
  const onData = (chunk: Buffer): void => {
    chunks.push(chunk);
    byteCount += chunk.length;
    if (byteCount > CALL_BYTES) read.resolve(undefined);
    else if (text().includes("\n\n")) read.resolve(text());
  };
  stream.on("data", onData);
  stream.once("end", () => read.resolve(text()));
  stream.once("close", () => read.resolve(undefined));
  try {
    return await read.promise;
  } finally {
    stream.off("data", onData).pause();
  }
}
