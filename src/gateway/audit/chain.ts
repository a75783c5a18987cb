/**
 * The arithmetic of the audit log: how a record becomes a line, and what a line must be to follow another.
 *
 * Used by the writer (`audit-log.ts`) and the verifier (`verify-audit.ts`), so that both mean the same by "canonical":
 * keys sorted by code unit, no blanks, strings as `JSON.stringify` writes them, UTF-8, one line feed at the end.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type AuditEvent, type AuditRecord, checkAuditRecord } from "../../wire/audit.ts";

/** Where a chain stands: how many records, and the hash of the last. */
export interface Head {
  readonly count: number;
  readonly hash: string;
}

/** The head of a log without records. */
export const EMPTY_HEAD: Head = { count: 0, hash: "0".repeat(64) };

/** Makes the line that follows `head`, line feed included, and the head after it. */
export function makeLine(event: AuditEvent, atMs: number, head: Head): { line: string; head: Head } {
  const record = { ...event, seq: head.count + 1, at: new Date(atMs).toISOString(), prev: head.hash };
  const hash = hashOf(record);
  return { line: `${canonical({ ...record, hash })}\n`, head: { count: record.seq, hash } };
}

/** Reads a line, without its line feed, and checks all that can be checked without the line before it. */
export function readLine(line: Uint8Array): AuditRecord | { readonly wrong: string } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(line));
  } catch {
    return { wrong: "it is no JSON" };
  }
  const record = checkAuditRecord(parsed);
  if ("wrong" in record) return record;
  // Bytes, not values: blanks, order of keys, escapes and doubled keys are changes as well.
  if (Buffer.compare(Buffer.from(canonical(record)), line) !== 0) return { wrong: "it was written differently" };
  const { hash, ...rest } = record;
  return hash === hashOf(rest) ? record : { wrong: "its hash does not fit its content" };
}

/** Says what keeps a record from following `head`, if anything. */
export function gapBetween(head: Head, record: AuditRecord): string | undefined {
  if (record.seq !== head.count + 1) return `it is number ${record.seq} where ${head.count + 1} belongs`;
  return record.prev === head.hash ? undefined : "it does not follow the record before it";
}

function hashOf(record: object): string {
  return createHash("sha256").update(canonical(record)).digest("hex");
}

function canonical(record: object): string {
  const fields = Object.entries(record)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  return `{${fields.join(",")}}`;
}
