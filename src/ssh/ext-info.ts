/**
 * EXT_INFO: what a server says it can do beyond the base protocol (RFC 8308).
 *
 * @module
 */
import { message } from "./numbers.ts";
import { signatureAlgorithms } from "./public-keys.ts";
import { WireWriter } from "./wire.ts";

/** Writes ours: the signatures we take, and pings (`ping@openssh.com`, OpenSSH PROTOCOL section 1.9). */
export function writeExtInfo(): Buffer {
  return new WireWriter()
    .byte(message.extInfo)
    .uint32(2)
    .string("server-sig-algs")
    .string(signatureAlgorithms.join(","))
    .string("ping@openssh.com")
    .string("0")
    .done();
}
