/**
 * Makes host keys for the inner `sshd`: ed25519, in the file format of OpenSSH (PROTOCOL.key), without a process.
 *
 * @module
 */
import { generateKeyPairSync, randomBytes } from "node:crypto";

export interface HostKey {
  /** Text of a private key file, no passphrase. */
  readonly privateText: string;
  /** The public key in SSH wire form: RFC 8709 section 4. */
  readonly publicBlob: Buffer;
}

const ALGORITHM = "ssh-ed25519";

/** Makes a new key. */
export function makeHostKey(): HostKey {
  const { privateKey } = generateKeyPairSync("ed25519");
  const { d, x } = privateKey.export({ format: "jwk" });
  if (d === undefined || x === undefined) throw new Error("Cannot make a host key: the ed25519 key has no parts");
  const publicKey = Buffer.from(x, "base64url");
  const publicBlob = Buffer.concat([field(ALGORITHM), field(publicKey)]);
  return { privateText: encodePrivate(publicBlob, publicKey, Buffer.from(d, "base64url")), publicBlob };
}

/** Writes the private key file: PROTOCOL.key of OpenSSH, sections 1 and 3, with cipher and kdf "none". */
function encodePrivate(publicBlob: Buffer, publicKey: Buffer, seed: Buffer): string {
  const check = randomBytes(4); // twice: a reader compares both to see whether it decrypted well
  const secret = Buffer.concat([check, check, publicBlob, field(Buffer.concat([seed, publicKey])), field("slipway")]);
  const padded = Buffer.concat([secret, Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, (8 - (secret.length % 8)) % 8))]);
  const one = Buffer.from([0, 0, 0, 1]);
  const file = [
    Buffer.from("openssh-key-v1\0"),
    field("none"),
    field("none"),
    field(""),
    one,
    field(publicBlob),
    field(padded),
  ];
  const lines =
    Buffer.concat(file)
      .toString("base64")
      .match(/.{1,70}/g) ?? [];
  return ["-----BEGIN OPENSSH PRIVATE KEY-----", ...lines, "-----END OPENSSH PRIVATE KEY-----", ""].join("\n");
}

/** RFC 4251 section 5, `string`. */
function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
