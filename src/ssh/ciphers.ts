/**
 * Sealing and opening of binary packets (RFC 4253 section 6): AES-GCM (RFC 5647, OpenSSH PROTOCOL section 1.6) and
 * AES-CTR (RFC 4344) with HMAC (RFC 6668), either order. A *body* is `padding_length, payload, padding`: what is
 * encrypted. Called by `transport.ts` alone.
 *
 * @module
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  randomFillSync,
  timingSafeEqual,
  type Cipheriv,
  type CipherGCMTypes,
  type Decipheriv,
  type KeyObject,
} from "node:crypto";
import { Fault } from "../base/fault.ts";

/** `openssl` is OpenSSL's name. */
type CipherSpec = { readonly keyBytes: number; readonly ivBytes: number } & (
  { readonly mode: "gcm"; readonly openssl: CipherGCMTypes } | { readonly mode: "ctr"; readonly openssl: string }
);

interface MacSpec {
  readonly hash: string;
  readonly keyBytes: number;
  readonly macBytes: number;
  /** Whether the MAC covers the ciphertext. */
  readonly encryptThenMac: boolean;
}

/** By name, the preferred first. */
export const ciphers: ReadonlyMap<string, CipherSpec> = new Map<string, CipherSpec>([
  ["aes128-gcm@openssh.com", { mode: "gcm", openssl: "aes-128-gcm", keyBytes: 16, ivBytes: 12 }],
  ["aes256-gcm@openssh.com", { mode: "gcm", openssl: "aes-256-gcm", keyBytes: 32, ivBytes: 12 }],
  ["aes256-ctr", { mode: "ctr", openssl: "aes-256-ctr", keyBytes: 32, ivBytes: 16 }],
  ["aes128-ctr", { mode: "ctr", openssl: "aes-128-ctr", keyBytes: 16, ivBytes: 16 }],
]);

/** By name, the preferred first. */
export const macs: ReadonlyMap<string, MacSpec> = new Map([
  ["hmac-sha2-256-etm@openssh.com", { hash: "sha256", keyBytes: 32, macBytes: 32, encryptThenMac: true }],
  ["hmac-sha2-512-etm@openssh.com", { hash: "sha512", keyBytes: 64, macBytes: 64, encryptThenMac: true }],
  ["hmac-sha2-256", { hash: "sha256", keyBytes: 32, macBytes: 32, encryptThenMac: false }],
]);

const LENGTH_BYTES = 4;
const BLOCK_BYTES = 16;
const TAG_BYTES = 16;

/** Turns bodies into packets, in order. */
export interface Sealer {
  /** Whether the 4 length bytes count towards the padding: true only where they are encrypted too. */
  readonly padsLength: boolean;
  readonly blockBytes: number;
  /**
   * Hands the packet's pieces, in order, to `write`, which may give their memory back: none is read afterwards.
   * `sequence` is the packet's number.
   */
  seal(body: Buffer, sequence: number, write: (piece: Buffer) => void): void;
}

/** Turns a stream of packets into bodies, in order. */
export interface Opener {
  /** Where the next packet begins once `open` has returned a body. */
  next: number;
  /** How many bytes of the packet have to be there before `open` can tell more than it did when it returned none. */
  needs: number;
  /**
   * Opens the packet at `at`.
   *
   * @returns its body, or `undefined` until more bytes are there
   * @throws {Fault} `protocol.violated` when it is too long, misaligned or forged
   */
  open(input: Buffer, at: number, sequence: number, maxBytes: number): Buffer | undefined;
}

export function violated(what: string): Fault {
  return new Fault("protocol.violated", `Cannot read a packet: ${what}`);
}

function checkLength(length: number, aligned: number, maxBytes: number): void {
  if (length > maxBytes) throw violated(`${length} bytes long, at most ${maxBytes} are taken`);
  if (length < 5 || aligned % BLOCK_BYTES !== 0) throw violated(`a length of ${length}`);
}

/** Random padding is drawn from a pool: one call to the generator serves hundreds of packets. */
const pool = Buffer.allocUnsafe(8_192);
let poolAt = pool.length;

/** Builds the body of a message: pads it to the sealer's block with random bytes, at least 4 (RFC 4253 section 6). */
export function makeBody(payload: Buffer, sealer: Sealer): Buffer {
  const bare = payload.length + (sealer.padsLength ? 5 : 1);
  let padBytes = sealer.blockBytes - (bare % sealer.blockBytes);
  if (padBytes < 4) padBytes += sealer.blockBytes;
  if (poolAt + padBytes > pool.length) {
    randomFillSync(pool);
    poolAt = 0;
  }
  const body = Buffer.allocUnsafe(1 + payload.length + padBytes);
  body[0] = padBytes;
  payload.copy(body, 1);
  pool.copy(body, 1 + payload.length, poolAt, poolAt + padBytes);
  poolAt += padBytes;
  return body;
}

/** Takes the payload out of a body, as a view. */
export function payloadOf(body: Buffer): Buffer {
  const end = body.length - (body[0] ?? 0);
  if (end < 2) throw violated("nothing but padding");
  return body.subarray(1, end);
}

/** Before the first keys: no cipher, no MAC. */
export const plainSealer: Sealer = {
  padsLength: true,
  blockBytes: 8,
  seal: (body, _sequence, write) => {
    write(lengthOf(body));
    write(body);
  },
};

/** Before the first keys. */
export function makePlainOpener(): Opener {
  return {
    next: 0,
    needs: 0,
    open(input, at, _sequence, maxBytes) {
      this.needs = LENGTH_BYTES;
      if (input.length - at < this.needs) return undefined;
      const length = input.readUInt32BE(at);
      if (length > maxBytes || length < 5 || (length + 4) % 8 !== 0) throw violated(`a length of ${length}`);
      this.needs = LENGTH_BYTES + length;
      if (input.length - at < this.needs) return undefined;
      this.next = at + this.needs;
      return Buffer.from(input.subarray(at + 4, this.next)); // the input is gone when the turn ends
    },
  };
}

function lengthOf(body: Buffer): Buffer {
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(body.length);
  return length;
}

/** Counts the invocation counter up: the last 8 bytes of the nonce (RFC 5647 section 7.1). */
function stepNonce(nonce: Buffer): void {
  for (let at = 11; at >= 4; at--) {
    const byte = (nonce.readUInt8(at) + 1) & 0xff;
    nonce[at] = byte;
    if (byte !== 0) return;
  }
}

/** Where a length and a tag are while a packet is sealed or opened: a view made for each would be garbage. */
const places = Buffer.alloc(LENGTH_BYTES + TAG_BYTES);
const lengthPlace = places.subarray(0, LENGTH_BYTES);
const tagPlace = places.subarray(LENGTH_BYTES);

class GcmSealer implements Sealer {
  readonly padsLength = false;
  readonly blockBytes = BLOCK_BYTES;
  readonly #name: CipherGCMTypes;
  readonly #key: KeyObject;
  readonly #nonce: Buffer;

  constructor(name: CipherGCMTypes, key: Buffer, iv: Buffer) {
    this.#name = name;
    this.#key = createSecretKey(key); // bytes would be made one for each packet
    this.#nonce = Buffer.from(iv);
  }

  seal(body: Buffer, _sequence: number, write: (piece: Buffer) => void): void {
    const cipher = createCipheriv(this.#name, this.#key, this.#nonce);
    stepNonce(this.#nonce);
    lengthPlace.writeUInt32BE(body.length);
    cipher.setAAD(lengthPlace);
    write(lengthPlace);
    write(cipher.update(body));
    cipher.final();
    write(cipher.getAuthTag());
  }
}

class GcmOpener implements Opener {
  next = 0;
  needs = 0;
  readonly #name: CipherGCMTypes;
  readonly #key: KeyObject;
  readonly #nonce: Buffer;

  constructor(name: CipherGCMTypes, key: Buffer, iv: Buffer) {
    this.#name = name;
    this.#key = createSecretKey(key); // bytes would be made one for each packet
    this.#nonce = Buffer.from(iv);
  }

  open(input: Buffer, at: number, _sequence: number, maxBytes: number): Buffer | undefined {
    this.needs = LENGTH_BYTES;
    if (input.length - at < this.needs) return undefined;
    const length = input.readUInt32BE(at);
    checkLength(length, length, maxBytes);
    const tagAt = at + LENGTH_BYTES + length;
    this.needs = LENGTH_BYTES + length + TAG_BYTES;
    if (input.length - at < this.needs) return undefined;
    const decipher = createDecipheriv(this.#name, this.#key, this.#nonce, { authTagLength: TAG_BYTES });
    stepNonce(this.#nonce);
    input.copy(lengthPlace, 0, at, at + LENGTH_BYTES);
    input.copy(tagPlace, 0, tagAt, tagAt + TAG_BYTES);
    decipher.setAAD(lengthPlace);
    decipher.setAuthTag(tagPlace);
    const body = decipher.update(input.subarray(at + LENGTH_BYTES, tagAt));
    try {
      decipher.final();
    } catch {
      throw violated("the authentication tag does not match");
    }
    this.next = tagAt + TAG_BYTES;
    return body;
  }
}

function makeMac(spec: MacSpec, key: Buffer, sequence: number, covered: readonly Buffer[]): Buffer {
  const hmac = createHmac(spec.hash, key);
  const number = Buffer.allocUnsafe(4);
  number.writeUInt32BE(sequence);
  hmac.update(number);
  for (const piece of covered) hmac.update(piece);
  return hmac.digest();
}

class CtrSealer implements Sealer {
  readonly padsLength: boolean;
  readonly blockBytes = BLOCK_BYTES;
  readonly #cipher: Cipheriv;
  readonly #mac: MacSpec;
  readonly #macKey: Buffer;

  constructor(cipher: Cipheriv, mac: MacSpec, macKey: Buffer) {
    this.#cipher = cipher;
    this.#mac = mac;
    this.#macKey = macKey;
    this.padsLength = !mac.encryptThenMac;
  }

  seal(body: Buffer, sequence: number, write: (piece: Buffer) => void): void {
    const length = lengthOf(body);
    if (this.#mac.encryptThenMac) {
      const sealed = this.#cipher.update(body);
      const mac = makeMac(this.#mac, this.#macKey, sequence, [length, sealed]);
      write(length);
      write(sealed);
      write(mac);
      return;
    }
    write(this.#cipher.update(length));
    write(this.#cipher.update(body));
    write(makeMac(this.#mac, this.#macKey, sequence, [length, body]));
  }
}

/** Encrypt-then-MAC: the length is in the clear and the MAC is checked before anything is decrypted. */
class CtrEtmOpener implements Opener {
  next = 0;
  needs = 0;
  readonly #decipher: Decipheriv;
  readonly #mac: MacSpec;
  readonly #macKey: Buffer;

  constructor(decipher: Decipheriv, mac: MacSpec, macKey: Buffer) {
    this.#decipher = decipher;
    this.#mac = mac;
    this.#macKey = macKey;
  }

  open(input: Buffer, at: number, sequence: number, maxBytes: number): Buffer | undefined {
    this.needs = LENGTH_BYTES;
    if (input.length - at < this.needs) return undefined;
    const length = input.readUInt32BE(at);
    checkLength(length, length, maxBytes);
    const macAt = at + LENGTH_BYTES + length;
    this.needs = LENGTH_BYTES + length + this.#mac.macBytes;
    if (input.length - at < this.needs) return undefined;
    const expected = makeMac(this.#mac, this.#macKey, sequence, [input.subarray(at, macAt)]);
    this.next = macAt + this.#mac.macBytes;
    if (!timingSafeEqual(expected, input.subarray(macAt, this.next))) throw violated("the MAC does not match");
    return this.#decipher.update(input.subarray(at + 4, macAt));
  }
}

/** Encrypt-and-MAC: the first block must be decrypted to learn the length, once, however often we are called. */
class CtrOpener implements Opener {
  next = 0;
  needs = 0;
  readonly #decipher: Decipheriv;
  readonly #mac: MacSpec;
  readonly #macKey: Buffer;
  #first: Buffer | undefined;

  constructor(decipher: Decipheriv, mac: MacSpec, macKey: Buffer) {
    this.#decipher = decipher;
    this.#mac = mac;
    this.#macKey = macKey;
  }

  open(input: Buffer, at: number, sequence: number, maxBytes: number): Buffer | undefined {
    if (this.#first === undefined) {
      this.needs = BLOCK_BYTES;
      if (input.length - at < this.needs) return undefined;
      this.#first = this.#decipher.update(input.subarray(at, at + BLOCK_BYTES));
    }
    const length = this.#first.readUInt32BE(0);
    checkLength(length, length + 4, maxBytes);
    const macAt = at + LENGTH_BYTES + length;
    this.needs = LENGTH_BYTES + length + this.#mac.macBytes;
    if (input.length - at < this.needs) return undefined;
    const rest = this.#decipher.update(input.subarray(at + BLOCK_BYTES, macAt));
    const whole = Buffer.concat([this.#first, rest]);
    this.#first = undefined;
    this.next = macAt + this.#mac.macBytes;
    const expected = makeMac(this.#mac, this.#macKey, sequence, [whole]);
    if (!timingSafeEqual(expected, input.subarray(macAt, this.next))) throw violated("the MAC does not match");
    return whole.subarray(4);
  }
}

/** The keys of one direction. */
export interface DirectionKeys {
  readonly cipher: string;
  readonly mac: string | undefined;
  /** Derives `bytes` bytes of key material of one kind (RFC 4253 section 7.2). */
  derive(kind: "iv" | "key" | "mac", bytes: number): Buffer;
}

interface Material {
  readonly cipher: CipherSpec;
  readonly key: Buffer;
  readonly iv: Buffer;
  readonly mac: MacSpec;
  readonly macKey: Buffer;
}

const NO_MAC: MacSpec = { hash: "", keyBytes: 0, macBytes: 0, encryptThenMac: false };

function materialOf(keys: DirectionKeys): Material {
  const cipher = ciphers.get(keys.cipher);
  const mac = keys.mac === undefined ? NO_MAC : macs.get(keys.mac);
  if (cipher === undefined || mac === undefined)
    throw new Error(`Cannot make keys: agreed on an unknown cipher or MAC: ${keys.cipher} ${keys.mac}`);
  return {
    cipher,
    key: keys.derive("key", cipher.keyBytes),
    iv: keys.derive("iv", cipher.ivBytes),
    mac,
    macKey: keys.derive("mac", mac.keyBytes),
  };
}

export function makeSealer(keys: DirectionKeys): Sealer {
  const { cipher, key, iv, mac, macKey } = materialOf(keys);
  if (cipher.mode === "gcm") return new GcmSealer(cipher.openssl, key, iv);
  return new CtrSealer(createCipheriv(cipher.openssl, key, iv), mac, macKey);
}

export function makeOpener(keys: DirectionKeys): Opener {
  const { cipher, key, iv, mac, macKey } = materialOf(keys);
  if (cipher.mode === "gcm") return new GcmOpener(cipher.openssl, key, iv);
  const decipher = createDecipheriv(cipher.openssl, key, iv);
  return mac.encryptThenMac ? new CtrEtmOpener(decipher, mac, macKey) : new CtrOpener(decipher, mac, macKey);
}
