/**
 * Cuts a stream of bytes into lines. Bytes are gathered, not text: a character may come in two chunks.
 *
 * @module
 */
const LINE_FEED = 0x0a;

export interface Lines {
  /** @returns the lines that this chunk ended, without their ends; `undefined` once a line is longer than allowed */
  push(chunk: Buffer): string[] | undefined;
  /** Bytes of a line that did not end yet. */
  readonly pendingByteCount: number;
}

/** Makes a cutter; it holds `maxBytes` at most. */
export function makeLines(maxBytes: number): Lines {
  let pending: Buffer[] = [];
  let pendingByteCount = 0;

  const push = (chunk: Buffer): string[] | undefined => {
    const lines: string[] = [];
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      const part = chunk.subarray(start, end === -1 ? chunk.length : end);
      pendingByteCount += part.length;
      if (pendingByteCount > maxBytes) return undefined;
      if (part.length > 0) pending.push(part);
      if (end === -1) return lines;
      const [only] = pending;
      lines.push((pending.length === 1 && only !== undefined ? only : Buffer.concat(pending)).toString("utf8"));
      pending = [];
      pendingByteCount = 0;
      start = end + 1;
    }
  };
  return {
    push,
    get pendingByteCount() {
      return pendingByteCount;
    },
  };
}
