/**
 * The SSH transport protocol over a byte stream, both roles (RFC 4253). It turns bytes into messages and messages into
 * bytes, keeps the keys fresh and ends for exactly one reason. What the messages from 50 on mean is its handler's
 * business.
 *
 * Memory is bounded by `packet-stream.ts`, and by its users: they must stop sending when `isFull` turns true, until
 * `drained()`.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import { makeBody, payloadOf, violated, type Opener, type Sealer } from "./ciphers.ts";
import { writeExtInfo } from "./ext-info.ts";
import { canMoveToGcm, gcmNames } from "./gcm.ts";
import { ourIdentification, readIdentification } from "./identification.ts";
import { KeyExchange, type KexRole } from "./key-exchange.ts";
import { release } from "./memory.ts";
import type { Agreement } from "./negotiate.ts";
import { disconnectReason, isForHandler, message } from "./numbers.ts";
import { PacketStream } from "./packet-stream.ts";
import { WireReader, WireWriter } from "./wire.ts";

/** Why a transport ended: the first reason there was. */
export interface Ending {
  readonly by: "peer" | "us";
  /** A sentence for the log; of a peer's DISCONNECT, what it said, escaped. */
  readonly text: string;
  /** What was thrown, where the peer broke the protocol or the stream failed. */
  readonly cause?: unknown;
}

/** What a transport tells its user. Calls come one at a time, never from inside `send`. */
export interface TransportHandler {
  /** The first keys are in use. */
  ready(): void;
  /**
   * A message numbered 5, 6 or 50 and up. Both views are the handler's to keep and change until it returns.
   *
   * @param payload the message
   * @param body the padded packet around it, as `forward` takes it
   */
  message(payload: Buffer, body: Buffer): void;
  /** `isFull` is false, and may have been true before. */
  drained(): void;
  /** The last call. */
  ended(ending: Ending): void;
}

export interface TransportOptions {
  readonly stream: Duplex;
  readonly kex: KexRole;
  readonly clock: Clock;
  /** Bytes in both directions together after which keys are renewed. @default 1 GiB (RFC 4253 section 9) */
  readonly rekeyBytes?: number;
  /** Age at which keys are renewed, in milliseconds. @default 1 hour (RFC 4253 section 9) */
  readonly rekeyMs?: number;
}

/** A stranger's longest packet, as RFC 4253 section 6.1 asks for, and what of our answers may wait for them (guess). */
const STRANGER_LIMITS = { maxBytes: 35_000, fullBytes: 64 * 1_024 };
/** Afterwards: OpenSSH's `PACKET_MAX_SIZE`, and enough that a fast line does not wait for the next turn. */
const LIMITS = { maxBytes: 256 * 1_024, fullBytes: 512 * 1_024 };
/** Exchanges a stranger may start; each costs us a signature. */
const STRANGER_EXCHANGES = 3;
/** An exchange that takes longer is given up, in milliseconds (guess: slow links need seconds). */
const EXCHANGE_MS = 60_000;
/** Input taken while paused because an exchange waits behind it (guess: what is under way on a fast long line). */
const PAUSED_BYTES = 4 * 1_024 * 1_024;
/** Messages kept while the peer takes its time over an exchange, in bytes; more than another's `PAUSED_BYTES`. */
const HELD_BYTES = 8 * 1_024 * 1_024;
/** After this much on CTR with HMAC, a peer that also has GCM is moved to it: docs/decisions/0005. */
const UPGRADE_BYTES = 1_024 * 1_024;
/** How long the last bytes may take to leave, in milliseconds (guess). */
const LINGER_MS = 2_000;

export class Transport {
  readonly #options: TransportOptions;
  readonly #packets: PacketStream;
  readonly #handler: TransportHandler;
  readonly #isServer: boolean;

  #kex: KeyExchange | undefined;
  #agreement: Agreement | undefined;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #isTrusted = false;
  #isReady = false;
  #isPaused = false;
  #bytesWhilePaused = 0;
  /** Keys are to be renewed once no longer paused. */
  #isDue = false;
  #strangerExchanges = 0;
  #stopWaiting: (() => void) | undefined;
  #stopAging: (() => void) | undefined;
  #ending: Ending | undefined;
  /** The peer's identification line, once it came. */
  peerIdentification = "";

  constructor(options: TransportOptions, handler: TransportHandler) {
    this.#options = options;
    this.#handler = handler;
    this.#isServer = options.kex.role === "server";
    this.#packets = new PacketStream(options.stream, STRANGER_LIMITS, {
      identify: (input) => this.#identify(input),
      packet: (body, sequence) => {
        if (this.#isPaused) this.#bytesWhilePaused += body.length;
        this.#dispatch(payloadOf(body), body, sequence);
      },
      turnEnded: () => {
        this.#renewUsedKeys();
        this.#upgrade();
        if (this.#isPaused) this.#steer();
      },
      failed: (error) => {
        this.#fail(error);
      },
      drained: () => {
        this.#tellDrained();
      },
      closed: (text, cause) => {
        this.#finish(cause === undefined ? { by: "peer", text } : { by: "peer", text, cause });
      },
    });
    this.#packets.writePlain(`${ourIdentification}\r\n`);
  }

  /** Hash of the first exchange; only from `ready` on. */
  get sessionId(): Buffer {
    if (this.#kex?.sessionId === undefined)
      throw new Error("Cannot give the session id: it is read before the first exchange ended");
    return this.#kex.sessionId;
  }

  /** What the keys in use were agreed with; only from `ready` on. */
  get agreement(): Agreement {
    if (this.#agreement === undefined)
      throw new Error("Cannot give the agreement: it is read before the first exchange ended");
    return this.#agreement;
  }

  get hasEnded(): boolean {
    return this.#ending !== undefined;
  }

  /** Whether senders must wait for `drained()`. */
  get isFull(): boolean {
    return this.#heldBytes > 0 || this.#packets.isFull;
  }

  /** Lifts the limits for strangers: the peer has proved who it is. */
  trust(): void {
    this.#isTrusted = true;
    this.#packets.limits = LIMITS;
  }

  /** Sends a message, after an exchange under way if there is one. */
  send(payload: Buffer): void {
    if (this.#ending !== undefined) return;
    if (this.#kex === undefined || this.#kex.holdsSending) {
      this.#hold(payload);
    } else {
      this.#sendNow(payload);
      this.#renewUsedKeys();
    }
  }

  /**
   * Sends a body that another transport opened, its padding as it is: nothing is framed anew where both sides pad alike.
   * `body` is gone afterwards.
   */
  forward(body: Buffer): void {
    if (this.#ending !== undefined) return;
    if (
      this.#kex === undefined ||
      this.#kex.holdsSending ||
      this.#packets.sealer.padsLength ||
      body.length % 16 !== 0
    ) {
      this.send(payloadOf(body));
    } else {
      this.#packets.seal(body);
      release(body);
      this.#renewUsedKeys();
    }
  }

  /**
   * Takes no more input until `resume`; what was read already still comes. While keys are exchanged a little more does:
   * two transports that feed each other would otherwise wait for ever, each paused until the other's exchange is over.
   */
  pause(): void {
    this.#isPaused = true;
    this.#steer();
  }

  resume(): void {
    this.#isPaused = false;
    this.#bytesWhilePaused = 0;
    this.#steer();
    if (this.#isDue) this.rekey();
  }

  /** Renews the keys now, or on `resume`: nothing of an exchange could be read before. */
  rekey(): void {
    if (!this.#isReady || this.#ending !== undefined) return;
    this.#isDue = this.#isPaused;
    if (!this.#isPaused) this.#startExchange();
  }

  /** Ends the connection with a DISCONNECT that says `text`. `reason` is one of RFC 4253 section 11.1. */
  disconnect(reason: number, text: string, cause?: unknown): void {
    if (this.#ending !== undefined) return;
    const payload = new WireWriter().byte(message.disconnect).uint32(reason).string(text).string("").done();
    this.#sendNow(payload);
    this.#finish(cause === undefined ? { by: "us", text } : { by: "us", text, cause });
  }

  /** Ends the connection without a word. */
  destroy(text: string): void {
    this.#finish({ by: "us", text });
    this.#packets.destroy();
  }

  #steer(): void {
    const mustRead = this.#kex?.isRunning === true && this.#bytesWhilePaused < PAUSED_BYTES;
    if (this.#isPaused && !mustRead) this.#packets.pause();
    else this.#packets.resume();
  }

  #hold(payload: Buffer): void {
    this.#held.push(payload);
    this.#heldBytes += payload.length;
    if (this.#heldBytes > HELD_BYTES) {
      this.disconnect(disconnectReason.keyExchangeFailed, "too much waits for the end of the key exchange");
    }
  }

  /** Sends whatever else waits. */
  #sendNow(payload: Buffer): void {
    this.#packets.seal(makeBody(payload, this.#packets.sealer));
  }

  #fail(error: unknown): void {
    const reason =
      error instanceof Fault && error.code === "protocol.unmatched"
        ? disconnectReason.keyExchangeFailed
        : disconnectReason.protocolError;
    this.disconnect(reason, error instanceof Fault ? error.told : "internal error", error);
  }

  #identify(input: Buffer): number | undefined {
    const found = readIdentification(input, this.#isServer ? "client" : "server");
    if (found === undefined) return undefined;
    this.peerIdentification = found.line;
    const identifications = this.#isServer
      ? { client: found.line, server: ourIdentification }
      : { client: ourIdentification, server: found.line };
    this.#kex = new KeyExchange(this.#options.kex, identifications, {
      sendNow: (payload) => {
        this.#sendNow(payload);
      },
      startSealing: (sealer, agreement) => {
        this.#startSealing(sealer, agreement);
      },
      startOpening: (opener) => {
        this.#startOpening(opener);
      },
    });
    this.#startExchange();
    return found.next;
  }

  #startExchange(ciphersOffered?: readonly string[]): void {
    if (this.#kex === undefined || this.#kex.isRunning) return;
    this.#kex.start(ciphersOffered);
    this.#watchExchange();
  }

  #watchExchange(): void {
    this.#stopWaiting ??= this.#options.clock.after(EXCHANGE_MS, () => {
      this.disconnect(disconnectReason.keyExchangeFailed, `the key exchange took longer than ${EXCHANGE_MS / 1_000} s`);
    });
  }

  /** Renews keys that are used up. */
  #renewUsedKeys(): void {
    if (this.#packets.bytesSinceKeys >= (this.#options.rekeyBytes ?? 2 ** 30)) this.rekey();
  }

  /** Moves bulk to the faster cipher. */
  #upgrade(): void {
    if (this.#packets.bytesSinceKeys < UPGRADE_BYTES || !this.#isServer || !this.#isTrusted) return;
    const offered = this.#kex?.peerProposal;
    if (offered === undefined || this.#isPaused || this.hasEnded) return;
    if (canMoveToGcm(this.peerIdentification, offered, this.agreement)) this.#startExchange(gcmNames);
  }

  #startSealing(sealer: Sealer, agreement: Agreement): void {
    const isFirst = this.#agreement === undefined;
    this.#agreement = agreement;
    this.#packets.startSealing(sealer, this.#kex?.isStrict === true);
    if (isFirst && this.#isServer && this.#kex?.wantsExtInfo === true) this.#sendNow(writeExtInfo());
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    for (const payload of held) this.#sendNow(payload);
    // Not at once: the handler must not be called from inside its own `send`.
    if (held.length > 0) {
      process.nextTick(() => {
        this.#tellDrained();
      });
    }
  }

  #startOpening(opener: Opener): void {
    this.#packets.startOpening(opener, this.#kex?.isStrict === true);
    this.#stopWaiting?.();
    this.#stopWaiting = undefined;
    if (this.#isReady) return;
    this.#isReady = true;
    this.#keepKeysYoung();
    this.#handler.ready();
  }

  #keepKeysYoung(): void {
    this.#stopAging = this.#options.clock.after(this.#options.rekeyMs ?? 3_600_000, () => {
      this.rekey();
      this.#keepKeysYoung();
    });
  }

  #dispatch(payload: Buffer, body: Buffer, sequence: number): void {
    const number = payload[0] ?? 0;
    const kex = this.#kex;
    if (kex === undefined) throw new Error("Cannot dispatch a packet: there is no identification yet");
    if (number >= message.kexInit && number < message.userauthRequest) {
      this.#dispatchExchange(kex, payload, sequence);
    } else if (number === message.disconnect) {
      this.#takeDisconnect(payload);
    } else if (kex.sessionId === undefined || !this.#isReady) {
      // RFC 4253 section 7.1; under strict key exchange not even IGNORE may stand between.
      if (kex.isStrict || number > message.debug) throw violated(`message ${number} in the first key exchange`);
    } else if (number === message.ignore || number === message.debug || number === message.unimplemented) {
      // nothing to do: RFC 4253 section 11
    } else if (kex.holdsPeer && !this.#isTrusted) {
      // RFC 4253 section 7.1 forbids it always; asyncssh 2.10 and paramiko 2.12 do it whenever keys are renewed under load.
      throw violated(`message ${number} between KEXINIT and NEWKEYS`);
    } else if (number === message.ping) {
      this.send(new WireWriter().byte(message.pong).string(new WireReader(payload, 1).string()).done());
    } else if (number === message.extInfo || number === message.pong) {
      // what a peer's EXT_INFO may say changes nothing here
    } else if (number === message.serviceRequest || number === message.serviceAccept || isForHandler(number)) {
      this.#handler.message(payload, body);
    } else {
      this.send(new WireWriter().byte(message.unimplemented).uint32(sequence).done());
    }
  }

  #dispatchExchange(kex: KeyExchange, payload: Buffer, sequence: number): void {
    if (payload[0] === message.kexInit) {
      const isFirst = kex.finishedCount === 0;
      if (!this.#isTrusted && ++this.#strangerExchanges > STRANGER_EXCHANGES) throw violated("too many key exchanges");
      kex.take(payload);
      // Whatever came before the first KEXINIT was injected (OpenSSH PROTOCOL section 1.10).
      if (isFirst && kex.isStrict && sequence !== 0) throw violated("KEXINIT was not the first message");
      this.#watchExchange();
      return;
    }
    kex.take(payload);
  }

  #takeDisconnect(payload: Buffer): void {
    const reader = new WireReader(payload, 1);
    const reason = reader.uint32();
    const text = JSON.stringify(reader.text().slice(0, 200));
    this.#finish({ by: "peer", text: `the peer disconnected: ${reason} ${text}` });
  }

  #tellDrained(): void {
    if (!this.isFull && this.#ending === undefined) this.#handler.drained();
  }

  /** Ends once, for the first reason; lets what was written leave, for a moment. */
  #finish(ending: Ending): void {
    if (this.#ending !== undefined) return;
    this.#ending = ending;
    this.#stopWaiting?.();
    this.#stopAging?.();
    this.#held = [];
    this.#packets.end();
    const cancel = this.#options.clock.after(LINGER_MS, () => {
      this.#packets.destroy();
    });
    this.#packets.onceClosed(cancel);
    this.#handler.ended(ending);
  }
}
