/**
 * Key exchange, first and later ones, both roles (RFC 4253 sections 7 to 9; strict key exchange as in OpenSSH PROTOCOL
 * section 1.10). It decides which messages go out and which keys come into use; moving bytes is `transport.ts`.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { Fault } from "../base/fault.ts";
import { makeOpener, makeSealer, type DirectionKeys, type Opener, type Sealer } from "./ciphers.ts";
import { kexMethods } from "./kex-methods.ts";
import {
  makeProposal,
  marker,
  negotiate,
  readKexInit,
  writeKexInit,
  type Agreement,
  type Proposal,
} from "./negotiate.ts";
import { message } from "./numbers.ts";
import type { SigningKey } from "./private-keys.ts";
import { readPublicKey } from "./public-keys.ts";
import { WireReader, WireWriter } from "./wire.ts";

/** Who we are in the exchange. */
export type KexRole =
  | { readonly role: "server"; readonly hostKeys: readonly SigningKey[] }
  | {
      readonly role: "client";
      /** Host-key algorithms we take. */
      readonly hostKeyAlgorithms: readonly string[];
      /** Says whether a host key blob is the one expected. */
      readonly isExpected: (blob: Buffer) => boolean;
    };

/** What the exchange does to its transport. */
export interface KexPort {
  /** Sends now, whatever else waits. */
  sendNow(payload: Buffer): void;
  startSealing(sealer: Sealer, agreement: Agreement): void;
  startOpening(opener: Opener): void;
}

function violated(what: string): Fault {
  return new Fault("protocol.violated", `Cannot exchange keys: ${what}`);
}

interface Round {
  readonly ourInit: Buffer;
  readonly ours: Proposal;
  /** From the peer's KEXINIT on. */
  agreement?: Agreement;
  peerInit?: Buffer;
  dropNext: boolean;
  /** Client: turns the reply into the secret. */
  init?: Buffer;
  finish?: (reply: Buffer) => Buffer;
  /** From our NEWKEYS until the peer's. */
  opener?: Opener;
}

interface Secrets {
  readonly secret: Buffer;
  readonly hash: Buffer;
}

export class KeyExchange {
  /** Hash of the first exchange, from its end on (RFC 4253 section 7.2). */
  sessionId: Buffer | undefined;
  /** Whether both sides asked for strict key exchange in their first KEXINIT. */
  isStrict = false;
  /** Whether the client takes EXT_INFO. */
  wantsExtInfo = false;
  /** What the peer offered last. */
  peerProposal: Proposal | undefined;
  /** Exchanges finished. */
  finishedCount = 0;

  readonly #role: KexRole;
  readonly #port: KexPort;
  readonly #identifications: { readonly client: string; readonly server: string };
  #round: Round | undefined;

  constructor(role: KexRole, identifications: { client: string; server: string }, port: KexPort) {
    this.#role = role;
    this.#identifications = identifications;
    this.#port = port;
  }

  /** Whether our other messages must wait: from our KEXINIT to our NEWKEYS. */
  get holdsSending(): boolean {
    return this.#round !== undefined && this.#round.opener === undefined;
  }

  /** Whether the peer may send nothing else: from its KEXINIT to its NEWKEYS. */
  get holdsPeer(): boolean {
    return this.#round?.peerInit !== undefined;
  }

  /** Whether an exchange is under way. */
  get isRunning(): boolean {
    return this.#round !== undefined;
  }

  /** Sends our KEXINIT. Does nothing while an exchange is under way. */
  start(ciphersOffered?: readonly string[]): void {
    if (this.#round !== undefined) return;
    const hostKey =
      this.#role.role === "server"
        ? this.#role.hostKeys.flatMap((key) => key.algorithms)
        : this.#role.hostKeyAlgorithms;
    const ours = makeProposal(this.#role.role, [...new Set(hostKey)], ciphersOffered);
    const ourInit = writeKexInit(ours);
    this.#round = { ourInit, ours, dropNext: false };
    this.#port.sendNow(ourInit);
  }

  /** Takes a message numbered 20 to 49. @throws {Fault} when it does not belong here */
  take(payload: Buffer): void {
    const number = payload[0];
    if (number === message.kexInit) {
      this.#takeInit(payload);
      return;
    }
    const round = this.#round;
    if (round?.agreement === undefined) throw violated(`message ${number} before KEXINIT`);
    if (number === message.newKeys) {
      this.#takeNewKeys(round);
    } else if (round.dropNext) {
      round.dropNext = false;
    } else if (number === message.kexInitiate && this.#role.role === "server" && round.opener === undefined) {
      this.#answer(round, round.agreement, payload, this.#role.hostKeys);
    } else if (number === message.kexReply && this.#role.role === "client" && round.opener === undefined) {
      this.#takeReply(round, round.agreement, payload);
    } else {
      throw violated(`message ${number} out of turn`);
    }
  }

  #takeInit(payload: Buffer): void {
    this.start();
    const round = this.#round;
    if (round === undefined || round.peerInit !== undefined) throw violated("a second KEXINIT");
    const theirs = readKexInit(payload);
    this.peerProposal = theirs;
    const isServer = this.#role.role === "server";
    if (this.sessionId === undefined) {
      this.isStrict = theirs.kex.includes(isServer ? marker.strictClient : marker.strictServer);
      this.wantsExtInfo = theirs.kex.includes(marker.extInfoClient);
    }
    const agreement = isServer ? negotiate(theirs, round.ours) : negotiate(round.ours, theirs);
    round.peerInit = payload;
    round.agreement = agreement;
    round.dropNext = isServer && agreement.dropGuess;
    if (!isServer) this.#begin(round, agreement);
  }

  #begin(round: Round, agreement: Agreement): void {
    const started = methodOf(agreement).begin();
    round.init = started.init;
    round.finish = started.finish;
    this.#port.sendNow(new WireWriter().byte(message.kexInitiate).string(started.init).done());
  }

  #answer(round: Round, agreement: Agreement, payload: Buffer, hostKeys: readonly SigningKey[]): void {
    const reader = new WireReader(payload, 1);
    const init = reader.string();
    reader.end();
    const hostKey = hostKeys.find((key) => key.algorithms.includes(agreement.hostKey));
    if (hostKey === undefined)
      throw new Error(`Cannot answer: agreed on a host key that is not there: ${agreement.hostKey}`);
    const { reply, secret } = methodOf(agreement).answer(init);
    const hash = this.#exchangeHash(round, { hostKey: hostKey.blob, init, reply, secret });
    const signature = hostKey.sign(agreement.hostKey, hash);
    this.#port.sendNow(
      new WireWriter().byte(message.kexReply).string(hostKey.blob).string(reply).string(signature).done(),
    );
    this.#turnKeys(round, agreement, { secret, hash });
  }

  #takeReply(round: Round, agreement: Agreement, payload: Buffer): void {
    const reader = new WireReader(payload, 1);
    const blob = reader.string();
    const reply = reader.string();
    const signature = reader.string();
    reader.end();
    if (this.#role.role !== "client" || round.finish === undefined || round.init === undefined) {
      throw new Error("Cannot take a reply: nothing was begun");
    }
    if (!this.#role.isExpected(blob)) throw violated("the host key is not the expected one");
    const secret = round.finish(reply);
    const hash = this.#exchangeHash(round, { hostKey: blob, init: round.init, reply, secret });
    if (!readPublicKey(blob).verifies(agreement.hostKey, hash, signature))
      throw violated("the host signature is wrong");
    this.#turnKeys(round, agreement, { secret, hash });
  }

  #exchangeHash(round: Round, parts: { hostKey: Buffer; init: Buffer; reply: Buffer; secret: Buffer }): Buffer {
    const isServer = this.#role.role === "server";
    const peerInit = round.peerInit ?? Buffer.alloc(0);
    const input = new WireWriter()
      .string(this.#identifications.client)
      .string(this.#identifications.server)
      .string(isServer ? peerInit : round.ourInit)
      .string(isServer ? round.ourInit : peerInit)
      .string(parts.hostKey)
      .string(parts.init)
      .string(parts.reply)
      .bytes(parts.secret)
      .done();
    return createHash("sha256").update(input).digest();
  }

  /** Sends NEWKEYS, seals with the new keys from then on, and prepares to open with them. */
  #turnKeys(round: Round, agreement: Agreement, secrets: Secrets): void {
    this.sessionId ??= secrets.hash;
    const sessionId = this.sessionId;
    const isServer = this.#role.role === "server";
    const keys = (direction: "toServer" | "toClient"): DirectionKeys => ({
      cipher: direction === "toServer" ? agreement.cipherToServer : agreement.cipherToClient,
      mac: direction === "toServer" ? agreement.macToServer : agreement.macToClient,
      derive: (kind, bytes) => deriveKey(secrets, sessionId, KEY_LETTERS[direction][kind], bytes),
    });
    this.#port.sendNow(Buffer.of(message.newKeys));
    this.#port.startSealing(makeSealer(keys(isServer ? "toClient" : "toServer")), agreement);
    round.opener = makeOpener(keys(isServer ? "toServer" : "toClient"));
  }

  #takeNewKeys(round: Round): void {
    if (round.opener === undefined) throw violated("NEWKEYS before the exchange is done");
    this.#round = undefined;
    this.finishedCount++;
    this.#port.startOpening(round.opener);
  }
}

function methodOf(agreement: Agreement): NonNullable<ReturnType<typeof kexMethods.get>> {
  const method = kexMethods.get(agreement.kex);
  if (method === undefined) throw new Error(`Cannot exchange keys: agreed on an unknown method: ${agreement.kex}`);
  return method;
}

/** The letter X of RFC 4253 section 7.2 for each key. */
const KEY_LETTERS = {
  toServer: { iv: "A", key: "C", mac: "E" },
  toClient: { iv: "B", key: "D", mac: "F" },
} as const;

/** RFC 4253 section 7.2: hashes are chained until there are enough bytes. */
function deriveKey(secrets: Secrets, sessionId: Buffer, letter: string, bytes: number): Buffer {
  const seed = createHash("sha256").update(secrets.secret).update(secrets.hash);
  let made = seed.copy().update(letter).update(sessionId).digest();
  while (made.length < bytes) made = Buffer.concat([made, seed.copy().update(made).digest()]);
  return made.subarray(0, bytes);
}
