/**
 * A client made of our own transport: as cheap as a connection can be, and able to misbehave where `ssh` cannot.
 *
 * @module
 */
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { makeClock } from "../../src/base/clock.ts";
import { enterFar, type FarHandler } from "../../src/gateway/far.ts";
import { makeSigningKey, type SigningKey } from "../../src/ssh/private-keys.ts";
import type { Transport } from "../../src/ssh/transport.ts";
import { WireReader } from "../../src/ssh/wire.ts";

/** Where to connect as whom. Plain data: it is handed to other processes as JSON. */
export interface RawTarget {
  readonly port: number;
  readonly user: string;
  /** Host key blob, base64. */
  readonly hostKey: string;
  /** An Ed25519 key without a passphrase, as `ssh-keygen` writes it. */
  readonly identityFile: string;
}

/** Connects and authenticates. @throws {Fault} when the server does not let us in */
export async function connectRaw(target: RawTarget, handler: FarHandler, signal: AbortSignal): Promise<Transport> {
  const stream = connect({ host: "127.0.0.1", port: target.port, noDelay: true, allowHalfOpen: true });
  const reached = { stream, hostKey: Buffer.from(target.hostKey, "base64"), user: target.user };
  return enterFar(reached, { key: readSigningKey(target.identityFile), clock: makeClock(), handler }, signal);
}

const keys = new Map<string, SigningKey>();

function readSigningKey(path: string): SigningKey {
  const known = keys.get(path);
  if (known !== undefined) return known;
  const key = makeSigningKey(createPrivateKey({ key: readJwk(path), format: "jwk" }));
  keys.set(path, key);
  return key;
}

/** Reads an unencrypted Ed25519 key in OpenSSH's own form (PROTOCOL.key), which Node does not. */
function readJwk(path: string): { kty: string; crv: string; x: string; d: string } {
  const text = readFileSync(path, "latin1").replace(/-----[^\n]*-----/g, "");
  const reader = new WireReader(Buffer.from(text, "base64"));
  reader.bytes("openssh-key-v1\0".length);
  if (reader.text() !== "none") throw new Error(`Cannot use ${path}: it has a passphrase`);
  reader.string(); // the key derivation and its options: none
  reader.string();
  reader.uint32();
  reader.string(); // the public key, which is in the other part as well
  const secret = new WireReader(reader.string());
  secret.bytes(8);
  if (secret.text() !== "ssh-ed25519") throw new Error(`Cannot use ${path}: it is no Ed25519 key`);
  const publicKey = secret.string();
  const seed = secret.string().subarray(0, 32);
  return { kty: "OKP", crv: "Ed25519", x: publicKey.toString("base64url"), d: seed.toString("base64url") };
}
