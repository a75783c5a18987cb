/**
 * Fingerprints of public keys, as `ssh-keygen -l` writes them.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** `SHA256:` and the hash in base64 without padding. @param blob a public key in wire form (RFC 4253 section 6.6) */
export function fingerprintOf(blob: Buffer): string {
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}
