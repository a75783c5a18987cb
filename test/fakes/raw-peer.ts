/**
 * An SSH peer that does exactly what a test tells it, right or wrong: it holds nothing back, checks no order and answers
 * nothing by itself. Its key exchange is written from RFC 4253 a second time, so that it also checks ours.
 *
 * For tests of `src/ssh` and `src/gateway`, and for `test/hostile`.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Duplex } from "node:stream";

import {
  makeBody,
  makeOpener,
  makePlainOpener,
  makeSealer,
  payloadOf,
  plainSealer,
  type DirectionKeys,
} from "../../src/ssh/ciphers.ts";
import { readIdentification } from "../../src/ssh/identification.ts";
import { kexMethods } from "../../src/ssh/kex-methods.ts";
import {
  makeProposal,
  marker,
  negotiate,
  readKexInit,
  writeKexInit,
  type Agreement,
  type Proposal,
} from "../../src/ssh/negotiate.ts";
import { message } from "../../src/ssh/numbers.ts";
import type { SigningKey } from "../../src/ssh/private-keys.ts";
import { WireReader, WireWriter } from "../../src/ssh/wire.ts";

export interface RawPeerOptions {
  readonly stream: Duplex;
  /** A server has a host key. */
  readonly hostKey?: SigningKey;
  /** What to offer other than our usual. */
  readonly proposal?: Partial<Proposal>;
  readonly identification?: string;
}

/** What to do otherwise in one key exchange. */
export interface ExchangeOptions {
  /** Called behind our KEXINIT, and behind our first message of the method. */
  readonly afterKexInit?: () => void;
  readonly beforeNewKeys?: () => void;
  /** A guessed first packet, sent right behind KEXINIT. */
  readonly guess?: Buffer;
  /** Changes what a server signs or sends. */
  readonly signature?: (signature: Buffer) => Buffer;
}

/** Thrown by `next()` once the stream has ended; `text` is the other side's DISCONNECT, if it sent one. */
class PeerClosed extends Error {
  override readonly name = "PeerClosed";
}

export class RawPeer {
  /** Messages that came while a key exchange waited for its own. */
  readonly others: Buffer[] = [];
  readonly stream: Duplex;
  sendSequence = 0;
  receiveSequence = 0;
  sessionId: Buffer | undefined;
  agreement: Agreement | undefined;
  peerProposal: Proposal | undefined;
  /** Exchanges finished. */
  exchangeCount = 0;
  isStrict = false;

  readonly #options: RawPeerOptions;
  readonly #isServer: boolean;
  #sealer = plainSealer;
  #opener = makePlainOpener();
  #input: Buffer = Buffer.alloc(0);
  #peerLine = "";
  #isClosed = false;
  #wake: () => void = () => {};

  constructor(options: RawPeerOptions) {
    this.#options = options;
    this.stream = options.stream;
    this.#isServer = options.hostKey !== undefined;
    this.stream.on("data", (chunk: Buffer) => {
      this.#input = Buffer.concat([this.#input, chunk]);
      this.#wake();
    });
    for (const event of ["end", "close", "error"]) {
      this.stream.on(event, () => {
        this.#isClosed = true;
        this.#wake();
      });
    }
  }

  get identification(): string {
    return this.#options.identification ?? "SSH-2.0-RawPeer";
  }

  /** The line that the other side began with; from `greet` on. */
  get peerIdentification(): string {
    return this.#peerLine;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Sends our identification and reads the other side's. */
  async greet(): Promise<void> {
    this.stream.write(`${this.identification}\r\n`);
    for (;;) {
      const found = readIdentification(this.#input, this.#isServer ? "client" : "server");
      if (found !== undefined) {
        this.#peerLine = found.line;
        this.#input = this.#input.subarray(found.next);
        return;
      }
      await this.#more();
    }
  }

  /** Seals a message with the keys in use. */
  seal(payload: Buffer): Buffer {
    return this.sealBody(makeBody(payload, this.#sealer));
  }

  /** Seals a body as it is, right or wrong. */
  sealBody(body: Buffer): Buffer {
    const pieces: Buffer[] = [];
    this.#sealer.seal(body, this.sendSequence, (piece) => pieces.push(piece));
    this.sendSequence = (this.sendSequence + 1) >>> 0;
    return Buffer.concat(pieces);
  }

  /** Sends a message now, whatever else is under way. */
  send(payload: Buffer): void {
    this.stream.write(this.seal(payload));
  }

  /** The next message, of any number. @throws {PeerClosed} */
  async next(): Promise<Buffer> {
    for (;;) {
      const body = this.#opener.open(this.#input, 0, this.receiveSequence, 512 * 1_024);
      if (body !== undefined) {
        this.#input = this.#input.subarray(this.#opener.next);
        this.receiveSequence = (this.receiveSequence + 1) >>> 0;
        return payloadOf(body);
      }
      await this.#more();
    }
  }

  /** The next message with this number; those before it go to `others`. @throws {PeerClosed} with what a DISCONNECT says */
  async nextOf(number: number): Promise<Buffer> {
    for (;;) {
      const payload = await this.next();
      if (payload[0] === number) return payload;
      if (payload[0] === message.disconnect) throw new PeerClosed(readDisconnect(payload));
      this.others.push(payload);
    }
  }

  /** Reads until the other side is gone. @returns what its DISCONNECT said, or `undefined` if it said nothing */
  async untilClosed(): Promise<string | undefined> {
    let told: string | undefined;
    try {
      for (;;) {
        const payload = await this.next();
        if (payload[0] === message.disconnect) told ??= readDisconnect(payload);
        else this.others.push(payload);
      }
    } catch (error) {
      if (error instanceof PeerClosed) return told;
      throw error;
    }
  }

  /** Greets and exchanges the first keys. */
  async start(options: ExchangeOptions = {}): Promise<void> {
    await this.greet();
    await this.exchangeKeys(options);
  }

  /** Runs one key exchange from our KEXINIT to both NEWKEYS. */
  async exchangeKeys(options: ExchangeOptions = {}): Promise<void> {
    const role = this.#isServer ? "server" : "client";
    const hostKeys = this.#options.hostKey?.algorithms ?? ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"];
    const ours = { ...makeProposal(role, hostKeys), ...this.#options.proposal };
    const ourInit = writeKexInit(ours);
    this.send(ourInit);
    if (options.guess !== undefined) this.send(options.guess);
    options.afterKexInit?.();
    const theirInit = await this.nextOf(message.kexInit);
    const theirs = readKexInit(theirInit);
    this.peerProposal = theirs;
    if (this.sessionId === undefined) {
      this.isStrict =
        ours.kex.includes(this.#isServer ? marker.strictServer : marker.strictClient) &&
        theirs.kex.includes(this.#isServer ? marker.strictClient : marker.strictServer);
    }
    const agreement = this.#isServer ? negotiate(theirs, ours) : negotiate(ours, theirs);
    const inits = this.#isServer ? [theirInit, ourInit] : [ourInit, theirInit];
    const lines = this.#isServer ? [this.#peerLine, this.identification] : [this.identification, this.#peerLine];
    const prefix = [...lines, ...inits];
    const { hash, secret } = this.#isServer
      ? await this.#answer(agreement, prefix, options)
      : await this.#ask(agreement, prefix);
    this.sessionId ??= hash;
    this.agreement = agreement;
    options.beforeNewKeys?.();
    await this.#turnKeys(agreement, secret, hash);
  }

  async #ask(agreement: Agreement, prefix: readonly (string | Buffer)[]): Promise<{ hash: Buffer; secret: Buffer }> {
    const { init, finish } = methodOf(agreement).begin();
    this.send(new WireWriter().byte(message.kexInitiate).string(init).done());
    const reader = new WireReader(await this.nextOf(message.kexReply), 1);
    const blob = reader.string();
    const reply = reader.string();
    const secret = finish(reply);
    return { secret, hash: hashOf([...prefix, blob, init, reply], secret) };
  }

  async #answer(
    agreement: Agreement,
    prefix: readonly (string | Buffer)[],
    options: ExchangeOptions,
  ): Promise<{ hash: Buffer; secret: Buffer }> {
    const hostKey = this.#options.hostKey;
    if (hostKey === undefined) throw new Error("A server has a host key");
    const init = new WireReader(await this.nextOf(message.kexInitiate), 1).string();
    const { reply, secret } = methodOf(agreement).answer(init);
    const hash = hashOf([...prefix, hostKey.blob, init, reply], secret);
    const signature = hostKey.sign(agreement.hostKey, hash);
    const sent = options.signature?.(signature) ?? signature;
    this.send(new WireWriter().byte(message.kexReply).string(hostKey.blob).string(reply).string(sent).done());
    return { hash, secret };
  }

  async #turnKeys(agreement: Agreement, secret: Buffer, hash: Buffer): Promise<void> {
    const sessionId = this.sessionId ?? hash;
    const keys = (direction: "toServer" | "toClient"): DirectionKeys => ({
      cipher: direction === "toServer" ? agreement.cipherToServer : agreement.cipherToClient,
      mac: direction === "toServer" ? agreement.macToServer : agreement.macToClient,
      derive: (kind, bytes) => {
        const letter = { toServer: { iv: "A", key: "C", mac: "E" }, toClient: { iv: "B", key: "D", mac: "F" } };
        const sha256 = (...parts: (Buffer | string)[]): Buffer =>
          parts.reduce<ReturnType<typeof createHash>>((h, part) => h.update(part), createHash("sha256")).digest();
        let made = sha256(secret, hash, letter[direction][kind], sessionId);
        while (made.length < bytes) made = Buffer.concat([made, sha256(secret, hash, made)]);
        return made.subarray(0, bytes);
      },
    });
    this.send(Buffer.of(message.newKeys));
    this.#sealer = makeSealer(keys(this.#isServer ? "toClient" : "toServer"));
    if (this.isStrict) this.sendSequence = 0;
    await this.nextOf(message.newKeys);
    this.#opener = makeOpener(keys(this.#isServer ? "toServer" : "toClient"));
    if (this.isStrict) this.receiveSequence = 0;
    this.exchangeCount++;
  }

  async #more(): Promise<void> {
    if (this.#isClosed) throw new PeerClosed("the stream ended");
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

function methodOf(agreement: Agreement): NonNullable<ReturnType<typeof kexMethods.get>> {
  const method = kexMethods.get(agreement.kex);
  if (method === undefined) throw new Error(`No method ${agreement.kex}`);
  return method;
}

function hashOf(strings: readonly (string | Buffer)[], secret: Buffer): Buffer {
  const writer = new WireWriter();
  for (const part of strings) writer.string(part);
  return createHash("sha256").update(writer.bytes(secret).done()).digest();
}

function readDisconnect(payload: Buffer): string {
  const reader = new WireReader(payload, 1);
  reader.uint32();
  return reader.text();
}
