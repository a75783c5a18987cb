/**
 * The audit log: an append-only file, each record chained to the one before by hash.
 *
 * Opened by `src/cmd`, written to by the gateway. It is not the log of `base/log.ts`: that one is for operators and may
 * lose lines, this one is evidence. Nothing is dropped: while the disk fails or is slow, records wait in memory and
 * whoever must be sure waits with them (`append`), and whoever makes many stops (`isBehind`).
 *
 * @module
 */
import { type FileHandle, open, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import type { Log } from "../../base/log.ts";
import type { AuditEvent } from "../../wire/audit.ts";
import { EMPTY_HEAD, type Head, makeLine, readLine } from "./chain.ts";
import { type DurableLines, makeDurableLines } from "./durable-lines.ts";

/** Longer than any record: the longest field is a login of at most 32 KiB, an SSH packet. */
const LONGEST_LINE_BYTES = 256 * 1024;

export interface AuditLog extends AsyncDisposable {
  /**
   * Appends a record; resolves when it is on disk. Order is the order of the calls. Never rejects, so it need not be
   * awaited; while the disk refuses it stays pending, and who must not act unrecorded does not act.
   */
  append(event: AuditEvent): Promise<void>;
  /** Whether too much waits for the disk: whoever makes records on behalf of others refuses them then. */
  readonly isBehind: boolean;
  /** Number of records and hash of the last, those waiting for the disk included. */
  head(): Head;
  /** Writes what waits and closes the file. Idempotent. @throws {Fault} `state.unwritable` when the disk refuses */
  close(): Promise<void>;
}

/**
 * Opens the log at `path`, makes it when absent. A last line cut short by a crash is moved to `audit.torn-<time>` beside it
 * and recorded. The caller sees to it that there is one writer (`store.ts` holds the lock of the state folder).
 *
 * @throws {Fault} `audit.broken` when the last whole line is not one of ours
 */
export async function openAudit(path: string, clock: Clock, log: Log): Promise<AuditLog> {
  const file = await open(path, "a+", 0o600);
  try {
    const end = await readEnd(file, path);
    const lines = makeDurableLines({ file, lengthBytes: end.lengthBytes, clock, log });
    const audit = makeAuditLog(path, lines, { head: end.head, clock });
    if (end.torn.length > 0) {
      const movedTo = join(dirname(path), `audit.torn-${clock.now()}`);
      await writeFile(movedTo, end.torn, { mode: 0o600, flush: true });
      await file.truncate(end.lengthBytes);
      log.warn("audit.torn", { path, movedTo, bytes: end.torn.length });
      await audit.append({ type: "log.torn", bytes: end.torn.length, movedTo: basename(movedTo) });
    }
    return audit;
  } catch (error) {
    await file.close();
    throw error;
  }
}

interface End {
  /** Up to and with the last line feed. */
  readonly lengthBytes: number;
  readonly head: Head;
  /** What comes after it. */
  readonly torn: Uint8Array;
}

async function readEnd(file: FileHandle, path: string): Promise<End> {
  const { size } = await file.stat();
  // Twice the longest: a torn line and the whole one before it.
  const length = Math.min(size, 2 * LONGEST_LINE_BYTES);
  const start = size - length;
  const tail = Buffer.alloc(length);
  await file.read(tail, 0, length, start);
  const last = tail.lastIndexOf(0x0a);
  const torn = tail.subarray(last + 1);
  if (last === -1) {
    if (start > 0) throw brokenAt(path, "its end is no line");
    return { lengthBytes: 0, head: EMPTY_HEAD, torn };
  }
  const before = last === 0 ? -1 : tail.lastIndexOf(0x0a, last - 1);
  const record = readLine(tail.subarray(before + 1, last));
  if ("wrong" in record) throw brokenAt(path, `its last line was changed (${record.wrong})`);
  return { lengthBytes: start + last + 1, head: { count: record.seq, hash: record.hash }, torn };
}

function brokenAt(path: string, what: string): Fault {
  return new Fault("audit.broken", `Cannot append to "${path}": ${what}`, {
    told: `the audit log ${path} cannot be continued: ${what}; look at it with "slip audit verify" and move it aside`,
  });
}

/** Puts the chain before the lines. */
function makeAuditLog(path: string, lines: DurableLines, from: { head: Head; clock: Clock }): AuditLog {
  let { head } = from;
  const close = async (): Promise<void> => {
    try {
      await lines.close();
    } catch (cause) {
      throw new Fault("state.unwritable", `Cannot write the last records of "${path}": they are lost`, { cause });
    }
  };
  return {
    append: (event) => {
      const made = makeLine(event, from.clock.now(), head);
      const durable = lines.write(made.line);
      head = made.head;
      return durable;
    },
    get isBehind() {
      return lines.isBehind();
    },
    head: () => head,
    close,
    [Symbol.asyncDispose]: close,
  };
}
