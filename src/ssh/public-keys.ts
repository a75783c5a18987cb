/**
 * Public keys in SSH wire form and the signatures made with them (RFC 4253 section 6.6, RFC 5656, RFC 8332, RFC 8709,
 * and PROTOCOL.u2f for keys on security tokens). Node's OpenSSL verifies; only the shapes are ours.
 *
 * @module
 */
import { createHash, createPublicKey, verify, type KeyObject } from "node:crypto";
import { Fault } from "../base/fault.ts";
import { WireReader } from "./wire.ts";

/** Fewer bits are refused; OpenSSH's own floor is 1,024 (`RequiredRSASize`), NIST's since 2014 is 2,048 (SP 800-131A). */
const RSA_MIN_BITS = 2_048;

/** A public key ready to check signatures with. */
export interface PublicKey {
  /** Type name as in the blob, such as `ssh-ed25519`. */
  readonly type: string;
  /** Signature algorithms it may be used with. */
  readonly algorithms: readonly string[];
  /** Says whether `signature` (an SSH signature blob) is this key's over `data`, made with `algorithm`. Never throws. */
  verifies(algorithm: string, data: Buffer, signature: Buffer): boolean;
}

/** Every signature algorithm we take from clients, the preferred first: the value of `server-sig-algs` (RFC 8308). */
export const signatureAlgorithms: readonly string[] = [
  "ssh-ed25519",
  "sk-ssh-ed25519@openssh.com",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "sk-ecdsa-sha2-nistp256@openssh.com",
  "rsa-sha2-512",
  "rsa-sha2-256",
];

function refused(what: string): Fault {
  return new Fault("protocol.violated", `Cannot read a public key: ${what}`);
}

/** Checks the inner part of a signature blob; the outer has been taken apart. */
type Check = (data: Buffer, signature: Buffer, reader: WireReader) => boolean;

function base64url(bytes: Buffer): string {
  return bytes.toString("base64url");
}

function importKey(key: Record<string, string>): KeyObject {
  try {
    return createPublicKey({ key, format: "jwk" });
  } catch (error) {
    throw new Fault("protocol.violated", "Cannot read a public key: its numbers are no key", { cause: error });
  }
}

function readEd25519(reader: WireReader): KeyObject {
  const x = reader.string();
  if (x.length !== 32) throw refused(`an Ed25519 key of ${x.length} bytes`);
  return importKey({ kty: "OKP", crv: "Ed25519", x: base64url(x) });
}

interface Curve {
  readonly ssh: string;
  readonly jwk: string;
  readonly bytes: number;
  readonly hash: string;
}

const nistp256: Curve = { ssh: "nistp256", jwk: "P-256", bytes: 32, hash: "sha256" };
const nistp384: Curve = { ssh: "nistp384", jwk: "P-384", bytes: 48, hash: "sha384" };
const nistp521: Curve = { ssh: "nistp521", jwk: "P-521", bytes: 66, hash: "sha512" };

function readEcdsa(reader: WireReader, curve: Curve): KeyObject {
  const name = reader.text();
  const point = reader.string();
  if (name !== curve.ssh || point.length !== 1 + 2 * curve.bytes || point[0] !== 4)
    throw refused(`no point of ${curve.ssh}`);
  const x = base64url(point.subarray(1, 1 + curve.bytes));
  const y = base64url(point.subarray(1 + curve.bytes));
  return importKey({ kty: "EC", crv: curve.jwk, x, y });
}

function readRsa(reader: WireReader): KeyObject {
  const e = reader.mpint();
  const n = reader.mpint();
  const bits = n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
  if (bits < RSA_MIN_BITS) throw refused(`an RSA key of ${bits} bits, needs ${RSA_MIN_BITS}`);
  if (bits > 16_384 || e.length > 8) throw refused("an RSA key of unreasonable size");
  return importKey({ kty: "RSA", n: base64url(n), e: base64url(e) });
}

/** Shapes the two numbers of an ECDSA signature as r and s of fixed length side by side. */
function joinEcdsa(numbers: Buffer, bytes: number): Buffer | undefined {
  const reader = new WireReader(numbers);
  const r = reader.mpint();
  const s = reader.mpint();
  reader.end();
  if (r.length > bytes || s.length > bytes) return undefined;
  const joined = Buffer.alloc(2 * bytes);
  r.copy(joined, bytes - r.length);
  s.copy(joined, 2 * bytes - s.length);
  return joined;
}

function checkEd25519(key: KeyObject): Check {
  return (data, signature, reader) => {
    reader.end();
    return signature.length === 64 && verify(null, data, key, signature);
  };
}

function checkEcdsa(key: KeyObject, curve: Curve): Check {
  return (data, signature, reader) => {
    reader.end();
    const joined = joinEcdsa(signature, curve.bytes);
    return joined !== undefined && verify(curve.hash, data, { key, dsaEncoding: "ieee-p1363" }, joined);
  };
}

function checkRsa(key: KeyObject, hash: string): Check {
  const bytes = Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8);
  return (data, signature, reader) => {
    reader.end();
    if (signature.length > bytes) return false;
    // Some clients leave leading zeros out; OpenSSH puts them back too (ssh-rsa.c, ssh_rsa_verify).
    return verify(hash, data, key, Buffer.concat([Buffer.alloc(bytes - signature.length), signature]));
  };
}

/** Set in the flags of a token's signature when a person touched it (PROTOCOL.u2f); `no-touch-required` is not offered. */
const USER_PRESENT = 0x01;

/** What a token signs is not the data but a frame around its hash; the flags must show a touch. */
function checkToken(application: Buffer, inner: Check): Check {
  return (data, signature, reader) => {
    const flagsAndCounter = reader.rest();
    if (flagsAndCounter.length !== 5 || ((flagsAndCounter[0] ?? 0) & USER_PRESENT) === 0) return false;
    const hash = (bytes: Buffer): Buffer => createHash("sha256").update(bytes).digest();
    const framed = Buffer.concat([hash(application), flagsAndCounter, hash(data)]);
    return inner(framed, signature, new WireReader(Buffer.alloc(0)));
  };
}

function readChecks(type: string, reader: WireReader): Record<string, Check> {
  switch (type) {
    case "ssh-ed25519":
      return { [type]: checkEd25519(readEd25519(reader)) };
    case "ecdsa-sha2-nistp256":
      return { [type]: checkEcdsa(readEcdsa(reader, nistp256), nistp256) };
    case "ecdsa-sha2-nistp384":
      return { [type]: checkEcdsa(readEcdsa(reader, nistp384), nistp384) };
    case "ecdsa-sha2-nistp521":
      return { [type]: checkEcdsa(readEcdsa(reader, nistp521), nistp521) };
    case "ssh-rsa": {
      const key = readRsa(reader);
      return { "rsa-sha2-512": checkRsa(key, "sha512"), "rsa-sha2-256": checkRsa(key, "sha256") };
    }
    case "sk-ssh-ed25519@openssh.com": {
      const check = checkEd25519(readEd25519(reader));
      return { [type]: checkToken(reader.string(), check) };
    }
    case "sk-ecdsa-sha2-nistp256@openssh.com": {
      const check = checkEcdsa(readEcdsa(reader, nistp256), nistp256);
      return { [type]: checkToken(reader.string(), check) };
    }
    default:
      throw refused(`the type ${JSON.stringify(type.slice(0, 64))} is not taken`);
  }
}

/** Reads a public key blob. @throws {Fault} `protocol.violated` when it is no key of a kind we take */
export function readPublicKey(blob: Buffer): PublicKey {
  const reader = new WireReader(blob);
  const type = reader.text();
  const checks = readChecks(type, reader);
  reader.end();
  return {
    type,
    algorithms: Object.keys(checks),
    verifies: (algorithm, data, signature) => {
      try {
        const parts = new WireReader(signature);
        // The name inside must be the name agreed on, or a weaker hash could be slipped in.
        if (parts.text() !== algorithm) return false;
        return checks[algorithm]?.(data, parts.string(), parts) ?? false;
      } catch {
        return false; // malformed numbers: no signature
      }
    },
  };
}
