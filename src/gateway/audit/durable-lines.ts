/**
 * Appends lines to a file in batches, and says of each when it is on disk.
 *
 * Used by `audit-log.ts` alone. Knows nothing of records. While the disk refuses, lines stay in memory and are tried
 * again; none is ever dropped or written twice.
 *
 * @module
 */
import type { FileHandle } from "node:fs/promises";
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";

/** Bytes that may wait for the disk before `isBehind` says so: some 10,000 records (guess). */
const WAITING_BYTES = 4 * 1024 * 1024;
/** Bytes of one write, so that a long queue becomes durable piece by piece (guess). */
const BATCH_BYTES = 1024 * 1024;
/** Between two attempts to write while the disk refuses (guess). */
const RETRY_MS = 1_000;

export interface DurableLines {
  /** Queues a line, line feed included; resolves when it is on disk and never rejects. Throws when closed. */
  readonly write: (line: string) => Promise<void>;
  /** Says whether too much waits for the disk. */
  readonly isBehind: () => boolean;
  /** Writes what waits and closes the file; throws what the disk says if it cannot. Idempotent. */
  readonly close: () => Promise<void>;
}

export interface DurableLinesOptions {
  /** Opened for appending. Closed with the lines. */
  readonly file: Pick<FileHandle, "appendFile" | "datasync" | "truncate" | "close">;
  /** Length of the file now. */
  readonly lengthBytes: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Makes the writer of a file that is open. There must be no other. */
export function makeDurableLines({ file, lengthBytes, clock, log }: DurableLinesOptions): DurableLines {
  const queue = makeQueue();
  const ending = new AbortController();
  let durableBytes = lengthBytes;
  let failed = false;
  let draining: Promise<void> | undefined;
  let closed: Promise<void> | undefined;

  const writeBatch = async (): Promise<void> => {
    const batch = queue.first();
    const bytes = Buffer.from(batch.map(({ line }) => line).join(""));
    // Whatever part of a failed batch arrived must not stay: it is written again, whole.
    if (failed) await file.truncate(durableBytes);
    failed = true;
    await file.appendFile(bytes);
    await file.datasync();
    failed = false;
    durableBytes += bytes.length;
    queue.done(batch.length, bytes.length);
  };

  const drain = async (): Promise<void> => {
    // One turn later, so that the lines of this turn of the event loop go out together.
    await Promise.resolve();
    while (queue.length() > 0) {
      try {
        await writeBatch();
      } catch (error) {
        if (ending.signal.aborted) throw error;
        log.error("audit.stuck", error, { waitingBytes: queue.bytes() });
        await clock.sleep(RETRY_MS, ending.signal).catch(() => undefined);
      }
    }
    // In the same turn as the look at the queue: a line that is added from now on starts a new drain.
    draining = undefined;
  };

  const close = async (): Promise<void> => {
    ending.abort();
    try {
      await (draining ?? drain());
    } finally {
      await file.close();
    }
  };

  return {
    write: (line) => {
      if (closed !== undefined) throw new Error("Cannot write a line: the file is closed");
      const durable = queue.add(line);
      draining ??= drain();
      draining.catch(() => undefined); // rejects only while closing, and close() looks at it
      return durable;
    },
    isBehind: () => queue.bytes() > WAITING_BYTES,
    close: () => (closed ??= close()),
  };
}

interface Waiting {
  readonly line: string;
  readonly resolve: (nothing: undefined) => void;
}

function makeQueue() {
  let waiting: Waiting[] = [];
  let waitingBytes = 0;
  return {
    length: () => waiting.length,
    bytes: () => waitingBytes,
    add: async (line: string): Promise<void> => {
      waitingBytes += Buffer.byteLength(line);
      const { promise, resolve } = Promise.withResolvers<undefined>();
      waiting.push({ line, resolve });
      await promise;
    },
    /** What the next write takes: at least one line, and none that is added while it is written. */
    first: (): readonly Waiting[] => {
      let bytes = 0;
      const end = waiting.findIndex(({ line }) => (bytes += Buffer.byteLength(line)) > BATCH_BYTES);
      return waiting.slice(0, end === -1 ? waiting.length : Math.max(end, 1));
    },
    done: (count: number, bytes: number): void => {
      const written = waiting.slice(0, count);
      waiting = waiting.slice(count);
      waitingBytes -= bytes;
      for (const { resolve } of written) resolve(undefined);
    },
  };
}
