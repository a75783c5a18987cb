/**
 * The key-exchange methods: from two public values to one shared secret, both roles. Node's OpenSSL does the
 * arithmetic; only the shapes are ours.
 *
 * @module
 */
import {
  createECDH,
  createHash,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import { Fault } from "../base/fault.ts";
import { WireWriter } from "./wire.ts";

/** One method. All of ours hash with SHA-256. The secret comes encoded as the exchange hash wants it. */
export interface KexMethod {
  /** Client: makes the first value, and the function that turns the server's reply into the secret. */
  begin(): { init: Buffer; finish: (reply: Buffer) => Buffer };
  /** Server: answers the client's value. */
  answer(init: Buffer): { reply: Buffer; secret: Buffer };
}

function refused(what: string, cause?: unknown): Fault {
  return new Fault("protocol.violated", `Cannot exchange keys: ${what}`, { cause });
}

/** Runs a step that fails only on a bad public value of the peer. */
function withPeerValue<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw refused("the public value of the peer is invalid", error);
  }
}

const X25519_BYTES = 32;
/** The DER header in front of a raw X25519 public key (RFC 8410 section 4). */
const X25519_DER = Buffer.from("302a300506032b656e032100", "hex");

function makeX25519(): { publicKey: Buffer; agree: (peer: Buffer) => Buffer } {
  const pair = generateKeyPairSync("x25519");
  const publicKey = pair.publicKey.export({ type: "spki", format: "der" }).subarray(X25519_DER.length);
  return {
    publicKey,
    // OpenSSL refuses the all-zero result that RFC 8731 section 3 forbids.
    agree: (peer) => {
      if (peer.length !== X25519_BYTES) throw refused(`an X25519 value of ${peer.length} bytes, needs 32`);
      return withPeerValue(() =>
        diffieHellman({
          privateKey: pair.privateKey,
          publicKey: createPublicKey({ key: Buffer.concat([X25519_DER, peer]), format: "der", type: "spki" }),
        }),
      );
    },
  };
}

function makeNistP256(): { publicKey: Buffer; agree: (peer: Buffer) => Buffer } {
  const ecdh = createECDH("prime256v1");
  const publicKey = ecdh.generateKeys();
  // computeSecret refuses points that are not on the curve (RFC 5656 section 4).
  return { publicKey, agree: (peer) => withPeerValue(() => ecdh.computeSecret(peer)) };
}

/** Wraps a Diffie-Hellman group; its secret is an mpint (RFC 8731 section 3.1, RFC 5656 section 4). */
function fromGroup(makePair: () => { publicKey: Buffer; agree: (peer: Buffer) => Buffer }): KexMethod {
  const encode = (secret: Buffer): Buffer => new WireWriter().mpint(secret).done();
  return {
    begin: () => {
      const pair = makePair();
      return { init: pair.publicKey, finish: (reply) => encode(pair.agree(reply)) };
    },
    answer: (init) => {
      const pair = makePair();
      return { reply: pair.publicKey, secret: encode(pair.agree(init)) };
    },
  };
}

const MLKEM_PUBLIC_BYTES = 1_184;
const MLKEM_CIPHERTEXT_BYTES = 1_088;
/** The DER header in front of a raw ML-KEM-768 public key (RFC 9935). */
const MLKEM_DER = Buffer.from("308204b2300b0609608648016503040402038204a100", "hex");

function rawMlKem(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: "spki", format: "der" }).subarray(MLKEM_DER.length);
}

/** Both secrets hashed together, as a string rather than an mpint (draft-ietf-sshm-mlkem-hybrid-kex section 2.4). */
function combine(postQuantum: Buffer, classical: Buffer): Buffer {
  return new WireWriter().string(createHash("sha256").update(postQuantum).update(classical).digest()).done();
}

const mlkem768x25519: KexMethod = {
  begin: () => {
    const kem = generateKeyPairSync("ml-kem-768");
    const pair = makeX25519();
    return {
      init: Buffer.concat([rawMlKem(kem.publicKey), pair.publicKey]),
      finish: (reply) => {
        if (reply.length !== MLKEM_CIPHERTEXT_BYTES + X25519_BYTES)
          throw refused(`a hybrid reply of ${reply.length} bytes`);
        const ciphertext = reply.subarray(0, MLKEM_CIPHERTEXT_BYTES);
        const postQuantum = withPeerValue(() => decapsulate(kem.privateKey, ciphertext));
        return combine(postQuantum, pair.agree(reply.subarray(MLKEM_CIPHERTEXT_BYTES)));
      },
    };
  },
  answer: (init) => {
    if (init.length !== MLKEM_PUBLIC_BYTES + X25519_BYTES) throw refused(`a hybrid value of ${init.length} bytes`);
    const kem = withPeerValue(() => {
      const key = Buffer.concat([MLKEM_DER, init.subarray(0, MLKEM_PUBLIC_BYTES)]);
      return encapsulate(createPublicKey({ key, format: "der", type: "spki" }));
    });
    const pair = makeX25519();
    return {
      reply: Buffer.concat([kem.ciphertext, pair.publicKey]),
      secret: combine(kem.sharedKey, pair.agree(init.subarray(MLKEM_PUBLIC_BYTES))),
    };
  },
};

const curve25519 = fromGroup(makeX25519);

/** The methods by name, the preferred first. */
export const kexMethods: ReadonlyMap<string, KexMethod> = new Map([
  ["mlkem768x25519-sha256", mlkem768x25519],
  ["curve25519-sha256", curve25519],
  ["curve25519-sha256@libssh.org", curve25519],
  ["ecdh-sha2-nistp256", fromGroup(makeNistP256)],
]);
