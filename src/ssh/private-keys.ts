/**
 * Our own keys: the host keys that the gateway proves and the key it enters environments with.
 *
 * @module
 */
import { createPublicKey, sign, type KeyObject } from "node:crypto";
import { WireWriter } from "./wire.ts";

/** A private key that signs for us. */
export interface SigningKey {
  /** Public key blob (RFC 4253 section 6.6). */
  readonly blob: Buffer;
  /** Signature algorithms it can make, the preferred first. */
  readonly algorithms: readonly string[];
  /** Makes an SSH signature blob over `data`. */
  sign(algorithm: string, data: Buffer): Buffer;
}

const HASH_OF: Readonly<Record<string, string>> = { "rsa-sha2-512": "sha512", "rsa-sha2-256": "sha256" };

function jwkBytes(value: unknown): Buffer {
  if (typeof value !== "string") throw new Error("Cannot read a private key: a number is missing");
  return Buffer.from(value, "base64url");
}

function blobOf(key: KeyObject): { blob: Buffer; algorithms: string[] } {
  const jwk = createPublicKey(key).export({ format: "jwk" });
  switch (key.asymmetricKeyType) {
    case "ed25519":
      return {
        blob: new WireWriter().string("ssh-ed25519").string(jwkBytes(jwk.x)).done(),
        algorithms: ["ssh-ed25519"],
      };
    case "rsa":
      return {
        blob: new WireWriter().string("ssh-rsa").mpint(jwkBytes(jwk.e)).mpint(jwkBytes(jwk.n)).done(),
        algorithms: ["rsa-sha2-512", "rsa-sha2-256"],
      };
    default:
      throw new Error(`Cannot use a private key: its type is ${key.asymmetricKeyType}, needs ed25519 or rsa`);
  }
}

/** Makes a signing key of an Ed25519 or RSA private key. */
export function makeSigningKey(key: KeyObject): SigningKey {
  const { blob, algorithms } = blobOf(key);
  return {
    blob,
    algorithms,
    sign: (algorithm, data) =>
      new WireWriter()
        .string(algorithm)
        .string(sign(HASH_OF[algorithm] ?? null, data, key))
        .done(),
  };
}

/** The public key as a line of an `authorized_keys` or `known_hosts` file, without options or host. */
export function lineOf(key: SigningKey, comment: string): string {
  const type = key.algorithms[0] === "ssh-ed25519" ? "ssh-ed25519" : "ssh-rsa";
  return `${type} ${key.blob.toString("base64")} ${comment}`;
}
