/**
 * The identification lines that open a connection (RFC 4253 section 4.2).
 *
 * @module
 */
import { Fault } from "../base/fault.ts";

/** Ours, without the line end. */
export const ourIdentification = "SSH-2.0-Slipway_0.1";

/** Bytes of one line, its end included. */
const LINE_MAX_BYTES = 255;
/** Lines that a server may send before its identification; OpenSSH takes 1,024, a sane server sends none. */
const EARLY_LINES_MAX = 50;

export interface Identification {
  /** The line without its end: it enters the exchange hash as it stands. */
  readonly line: string;
  /** Where the packets begin. */
  readonly next: number;
}

function refused(what: string): Fault {
  return new Fault("protocol.violated", `Cannot read the identification: ${what}`);
}

/**
 * Finds the peer's identification at the head of `input`.
 *
 * @param peer a client must begin with it; a server may send other lines first
 * @returns `undefined` until the whole line is there
 * @throws {Fault} `protocol.violated`
 */
export function readIdentification(input: Buffer, peer: "client" | "server"): Identification | undefined {
  let at = 0;
  for (let lines = 0; lines <= EARLY_LINES_MAX; lines++) {
    const end = input.indexOf(0x0a, at);
    if (end === -1) {
      if (input.length - at >= LINE_MAX_BYTES) throw refused(`a line of more than ${LINE_MAX_BYTES} bytes`);
      const seen = input.toString("latin1", at, at + 4);
      if (peer === "client" && !"SSH-".startsWith(seen)) throw refused(`it begins with ${JSON.stringify(seen)}`);
      return undefined;
    }
    if (end - at >= LINE_MAX_BYTES) throw refused(`a line of more than ${LINE_MAX_BYTES} bytes`);
    const line = input.toString("latin1", at, end).replace(/\r$/, "");
    at = end + 1;
    if (line.startsWith("SSH-")) return { line: checkLine(line), next: at };
    if (peer === "client") throw refused(`it begins with ${JSON.stringify(line.slice(0, 40))}`);
  }
  throw refused(`more than ${EARLY_LINES_MAX} lines before it`);
}

function checkLine(line: string): string {
  if (!/^SSH-(2\.0|1\.99)-[\x21-\x7e]*( [\x20-\x7e]*)?$/.test(line)) throw refused(JSON.stringify(line.slice(0, 80)));
  return line;
}
