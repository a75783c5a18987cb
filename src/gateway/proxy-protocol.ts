/**
 * Reads the PROXY protocol header, versions 1 and 2, that a load balancer writes before the client's first byte
 * (haproxy.org, doc/proxy-protocol.txt). Only asked of peers on the operator's list: anyone else could claim any
 * address (CVE-2024-35175).
 *
 * @module
 */
import { isIP, type Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";

/** Where the client is; `undefined` when the proxy speaks for itself (a health check). */
export interface ProxyHeader {
  readonly from: string | undefined;
  /** Bytes of the header. */
  readonly length: number;
}

const V2_SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
/** Longest version 1 header, its end included. */
const V1_MAX_BYTES = 107;
/** Longest version 2 header we take: addresses and some extra fields; the format allows 64 KiB. */
const V2_MAX_BYTES = 2_048;

function refused(what: string): Fault {
  return new Fault("protocol.violated", `Cannot read the PROXY header: ${what}`);
}

/**
 * Reads the header at the head of `input`.
 *
 * @returns `undefined` until all of it is there
 * @throws {Fault} `protocol.violated`
 */
export function readProxyHeader(input: Buffer): ProxyHeader | undefined {
  const compared = Math.min(input.length, V2_SIGNATURE.length);
  if (input.length > 0 && input.subarray(0, compared).equals(V2_SIGNATURE.subarray(0, compared))) return readV2(input);
  return readV1(input);
}

function readV1(input: Buffer): ProxyHeader | undefined {
  const end = input.indexOf("\r\n");
  if (end === -1) {
    if (input.length >= V1_MAX_BYTES) throw refused("no line end");
    if (!"PROXY ".startsWith(input.toString("latin1", 0, Math.min(6, input.length)))) throw refused("no signature");
    return undefined;
  }
  const line = input.toString("latin1", 0, end);
  const length = end + 2;
  if (line.startsWith("PROXY UNKNOWN")) return { from: undefined, length };
  const [, version = "", from = ""] =
    /^PROXY TCP([46]) ([0-9a-fA-F.:]{2,45}) [0-9a-fA-F.:]{2,45} \d{1,5} \d{1,5}$/.exec(line) ?? [];
  if (version === "" || isIP(from) !== Number(version)) throw refused(JSON.stringify(line.slice(0, V1_MAX_BYTES)));
  return { from, length };
}

function readV2(input: Buffer): ProxyHeader | undefined {
  if (input.length < 16) return undefined;
  const command = input.readUInt8(12);
  const family = input.readUInt8(13);
  const length = 16 + input.readUInt16BE(14);
  if (command >> 4 !== 2 || (command & 0x0f) > 1) throw refused(`version and command ${command}`);
  if (length > V2_MAX_BYTES) throw refused(`${length} bytes long`);
  if (input.length < length) return undefined;
  if ((command & 0x0f) === 0) return { from: undefined, length };
  if (family === 0x11 && length >= 16 + 12) return { from: input.subarray(16, 20).join("."), length };
  if (family === 0x21 && length >= 16 + 36) return { from: ipv6Text(input.subarray(16, 32)), length };
  return { from: undefined, length };
}

function ipv6Text(bytes: Buffer): string {
  return Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16)).join(":");
}

/**
 * Waits for the header and takes it off the socket; what follows it stays to be read.
 *
 * @param waitMs at most this long
 * @throws {Fault} `protocol.violated` when it is late, cut short or no header
 */
export async function takeProxyHeader(socket: Socket, clock: Clock, waitMs: number): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  let input: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    input = Buffer.concat([input, chunk]);
    try {
      const header = readProxyHeader(input);
      if (header === undefined) return;
      socket.pause();
      if (input.length > header.length) socket.unshift(input.subarray(header.length));
      resolve(header.from);
    } catch (error) {
      reject(error);
    }
  };
  const onClose = (): void => {
    reject(refused("the connection closed before its end"));
  };
  const cancel = clock.after(waitMs, () => {
    reject(refused(`it did not come within ${waitMs} ms`));
  });
  // A half-open socket that has ended does not close by itself.
  socket.on("data", onData).on("end", onClose).on("close", onClose).on("error", onClose);
  try {
    return await promise;
  } finally {
    cancel();
    socket.off("data", onData).off("end", onClose).off("close", onClose).off("error", onClose);
  }
}
