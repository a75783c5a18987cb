/**
 * The log of an environment: what its start, its lifecycle commands and its service said. Bounded.
 *
 * Programs inside write to it through a descriptor opened for appending, so it can only be shortened in place.
 *
 * @module
 */
import { open, stat } from "node:fs/promises";

import { isCode } from "./stored.ts";

/** Shortened when longer than this, to half of it. */
const LOG_BYTES = 8 * 1024 * 1024;

/** Adds text to a log. */
export async function appendLog(path: string, text: string): Promise<void> {
  const file = await open(path, "a", 0o600);
  await file.write(text).finally(() => file.close());
}

/** Reads the last `maxBytes`, from the beginning of a line; "" when there is none. */
export async function readLogEnd(path: string, maxBytes: number): Promise<string> {
  const bytes = await readEnd(path, maxBytes + 1); // one more, which may be the end of the line before
  const isWhole = bytes.length <= maxBytes;
  return (isWhole ? bytes : fromLine(bytes)).toString("utf8");
}

/** Shortens a log that has grown too long. What is written in the same instant may be lost. */
export async function trimLog(path: string, longestBytes = LOG_BYTES): Promise<void> {
  const { size } = await stat(path).catch(() => ({ size: 0 }));
  if (size <= longestBytes) return;
  const kept = fromLine(await readEnd(path, Math.floor(longestBytes / 2)));
  const file = await open(path, "a");
  try {
    await file.truncate(0);
    await file.write(kept);
  } finally {
    await file.close();
  }
}

async function readEnd(path: string, maxBytes: number): Promise<Buffer> {
  try {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      const buffer = Buffer.alloc(Math.min(size, maxBytes));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, size - buffer.length);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isCode(error, "ENOENT")) return Buffer.alloc(0);
    throw error;
  }
}

function fromLine(bytes: Buffer): Buffer {
  return bytes.subarray(bytes.indexOf(0x0a) + 1);
}
