/**
 * Verifies an audit log from its first line to its last, in memory bounded by one line.
 *
 * Called by `slip audit verify` through `src/cmd`; may be run on a copy, or beside the running service. A log whose last
 * records were cut off whole is a valid, shorter log: only someone who noted a head before can tell, and passes it here.
 *
 * @module
 */
import { createReadStream } from "node:fs";
import { EMPTY_HEAD, gapBetween, type Head, readLine } from "./chain.ts";

/** Longest line that is looked at; ours are at most a quarter of it. */
const LONGEST_LINE_BYTES = 1024 * 1024;

export type Verdict =
  | { readonly sound: true; readonly head: Head }
  /** `line` counts from 1; `why` is a sentence; `head` is that of the lines before it. */
  | { readonly sound: false; readonly line: number; readonly why: string; readonly head: Head };

/**
 * Says whether a log is as it was written, or which line is the first that is not, and why.
 *
 * @param expectHash hash of a record noted earlier, that must be in the chain
 * @throws what the file system says when the file cannot be read
 */
export async function verifyAudit(path: string, expectHash?: string): Promise<Verdict> {
  let head = EMPTY_HEAD;
  let met = expectHash === undefined || expectHash === EMPTY_HEAD.hash;
  for await (const { bytes, whole } of readLines(path)) {
    const line = head.count + 1;
    if (!whole) return { sound: false, line, why: "it has no end", head };
    const record = readLine(bytes);
    const why = "wrong" in record ? record.wrong : gapBetween(head, record);
    if (why !== undefined || "wrong" in record) return { sound: false, line, why: why ?? "", head };
    head = { count: record.seq, hash: record.hash };
    met ||= record.hash === expectHash;
  }
  if (!met) return { sound: false, line: head.count + 1, why: `no record has the hash ${expectHash ?? ""}`, head };
  return { sound: true, head };
}

/** Yields the lines of a file. The last one is not `whole` when it has no line feed, nor is one that is too long. */
async function* readLines(path: string): AsyncGenerator<{ bytes: Buffer; whole: boolean }> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) {
    if (!Buffer.isBuffer(chunk)) throw new Error("Cannot read lines: the stream gives text, needs bytes");
    let text: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = text.indexOf(0x0a); end !== -1; end = text.indexOf(0x0a)) {
      yield { bytes: text.subarray(0, end), whole: true };
      text = text.subarray(end + 1);
    }
    rest = text;
    if (rest.length > LONGEST_LINE_BYTES) break;
  }
  if (rest.length > 0) yield { bytes: rest, whole: false };
}
