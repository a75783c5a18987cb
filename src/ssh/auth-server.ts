/**
 * The server's half of public-key authentication (RFC 4252). A person is whoever the key of a *verified* signature
 * belongs to: `onVerified` gets key and login from that one message, and nothing of earlier offers is kept
 * (CVE-2024-45337 is what happens otherwise).
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import { disconnectReason, message } from "./numbers.ts";
import { readPublicKey, type PublicKey } from "./public-keys.ts";
import type { Transport } from "./transport.ts";
import { WireReader, WireWriter } from "./wire.ts";

/** What a signature proved. */
export interface Verified {
  /** SSH user name of the very request that was signed. */
  readonly login: string;
  readonly keyBlob: Buffer;
}

export interface AuthServerOptions {
  /**
   * Says whether a key may be used at all; where that has to be found out first, the peer waits. What it says must not
   * depend on the login, which is there to know where to look.
   */
  readonly isKnown: (keyBlob: Buffer, login: string) => boolean | Promise<boolean>;
  /** Keys one connection may try. */
  readonly keysMax: number;
  /** Called once, when a signature of a known key has verified; ends in `succeed()` or a disconnect. */
  readonly onVerified: (verified: Verified) => void;
  /** Called for each key that is unknown or whose signature is wrong. */
  readonly onFailed: (keyBlob: Buffer) => void;
}

/** Requests that name no key, such as `none`, one connection may make (guess: clients make one or two). */
const OTHER_REQUESTS_MAX = 20;
/** Messages a peer may send ahead while it waits for an answer (guess: clients wait; a few pipeline one or two). */
const AHEAD_MAX = 8;
/** Longest login read; `policy/login.ts` takes far less. */
const LOGIN_MAX_BYTES = 1_024;
const SERVICE = "ssh-userauth";
const NEXT_SERVICE = "ssh-connection";

/** A request by public key. */
interface KeyRequest {
  readonly login: Buffer;
  readonly algorithm: string;
  readonly keyBlob: Buffer;
  /** Absent when the key is only offered. */
  readonly signature: Buffer | undefined;
}

function violated(what: string): Fault {
  return new Fault("protocol.violated", `Cannot authenticate the peer: ${what}`);
}

export class AuthServer {
  readonly #transport: Transport;
  readonly #options: AuthServerOptions;
  #phase: "service" | "asking" | "verified" | "done" = "service";
  #keysTried = 0;
  #otherRequests = 0;
  #lastOffer: Buffer | undefined;
  /** Set while it is found out whether a key is known: what came meanwhile. */
  #ahead: Buffer[] | undefined;

  constructor(transport: Transport, options: AuthServerOptions) {
    this.#transport = transport;
    this.#options = options;
  }

  /** Takes a message of the peer. @throws {Fault} `protocol.violated` when it has no place here */
  take(payload: Buffer): void {
    if (this.#ahead !== undefined) {
      if (this.#ahead.length >= AHEAD_MAX) throw violated(`${AHEAD_MAX} messages before the answer to the first`);
      this.#ahead.push(Buffer.from(payload));
      return;
    }
    const number = payload[0];
    if (this.#phase === "service" && number === message.serviceRequest) this.#takeService(payload);
    else if (this.#phase === "asking" && number === message.userauthRequest) this.#takeRequest(payload);
    // Sent ahead by a client that did not wait for our answer: RFC 4252 section 5.1 has it ignored.
    else if (this.#phase !== "service" && number === message.userauthRequest) return;
    else throw violated(`message ${number} while ${this.#phase}`);
  }

  /** Shows lines to the person before they are let in; they appear on the client's standard error. */
  showBanner(text: string): void {
    this.#transport.send(new WireWriter().byte(message.userauthBanner).string(text).string("").done());
  }

  /** Lets the peer in: its next messages are of the connection protocol. */
  succeed(): void {
    if (this.#phase !== "verified")
      throw new Error(`Cannot let the peer in: authentication is ${this.#phase}, needs verified`);
    this.#phase = "done";
    this.#transport.send(Buffer.of(message.userauthSuccess));
  }

  #takeService(payload: Buffer): void {
    const name = new WireReader(payload, 1).text();
    if (name !== SERVICE) {
      this.#transport.disconnect(
        disconnectReason.serviceNotAvailable,
        `the service ${JSON.stringify(name.slice(0, 40))} is not offered`,
      );
      return;
    }
    this.#phase = "asking";
    this.#transport.send(new WireWriter().byte(message.serviceAccept).string(SERVICE).done());
  }

  #takeRequest(payload: Buffer): void {
    const reader = new WireReader(payload, 1);
    const login = reader.string();
    const service = reader.text();
    const method = reader.text();
    if (login.length > LOGIN_MAX_BYTES) throw violated(`a user name of ${login.length} bytes`);
    if (service !== NEXT_SERVICE || method !== "publickey") {
      this.#otherRequests++;
      if (this.#otherRequests > OTHER_REQUESTS_MAX) this.#tooMany();
      else this.#fail();
      return;
    }
    const isSigned = reader.boolean();
    const algorithm = reader.text();
    const keyBlob = reader.string();
    const signature = isSigned ? reader.string() : undefined;
    reader.end();
    this.#takeKey({ login, algorithm, keyBlob, signature });
  }

  #takeKey(request: KeyRequest): void {
    const { login, keyBlob, signature } = request;
    // An offer and the signature that follows it are one try.
    if (signature === undefined || this.#lastOffer?.equals(keyBlob) !== true) this.#keysTried++;
    this.#lastOffer = signature === undefined ? Buffer.from(keyBlob) : undefined;
    if (this.#keysTried > this.#options.keysMax) {
      this.#tooMany();
      return;
    }
    const isKnown = this.#options.isKnown(keyBlob, login.toString("utf8"));
    if (typeof isKnown === "boolean") this.#judge(request, isKnown);
    else this.#await(request, isKnown);
  }

  /** Goes on once it is known whether the key is; the messages that came meanwhile come after it. */
  #await(request: KeyRequest, isKnown: Promise<boolean>): void {
    const { login, algorithm, keyBlob, signature } = request;
    const kept = {
      login: Buffer.from(login),
      algorithm,
      keyBlob: Buffer.from(keyBlob),
      signature: signature && Buffer.from(signature),
    };
    this.#ahead = [];
    isKnown
      .then(
        (known) => known,
        () => false, // whoever was asked has logged it; what is not known to be a key is none
      )
      .then((known) => {
        const ahead = this.#ahead ?? [];
        this.#ahead = undefined;
        if (this.#transport.hasEnded) return;
        this.#judge(kept, known);
        for (const payload of ahead) this.take(payload);
      })
      .catch((error: unknown) => {
        const told = error instanceof Fault ? error.told : "internal error";
        this.#transport.disconnect(disconnectReason.protocolError, told, error);
      });
  }

  #judge({ login, algorithm, keyBlob, signature }: KeyRequest, isKnown: boolean): void {
    const key = isKnown ? readUsable(keyBlob) : undefined;
    if (key?.algorithms.includes(algorithm) !== true) {
      this.#options.onFailed(keyBlob);
      this.#fail();
    } else if (signature === undefined) {
      this.#transport.send(new WireWriter().byte(message.userauthPkOk).string(algorithm).string(keyBlob).done());
    } else if (key.verifies(algorithm, signedData(this.#transport.sessionId, login, algorithm, keyBlob), signature)) {
      this.#phase = "verified";
      this.#options.onVerified({ login: login.toString("utf8"), keyBlob: Buffer.from(keyBlob) });
    } else {
      this.#options.onFailed(keyBlob);
      this.#fail();
    }
  }

  #fail(): void {
    this.#transport.send(new WireWriter().byte(message.userauthFailure).nameList(["publickey"]).boolean(false).done());
  }

  #tooMany(): void {
    this.#transport.disconnect(
      disconnectReason.noMoreAuthMethods,
      `Too many keys tried, at most ${this.#options.keysMax}`,
    );
  }
}

/** A key that is known but of a kind we do not take, such as RSA of 1,024 bits, is refused like an unknown one. */
function readUsable(keyBlob: Buffer): PublicKey | undefined {
  try {
    return readPublicKey(keyBlob);
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}

/** What a client signs (RFC 4252 section 7). */
export function signedData(sessionId: Buffer, login: Buffer, algorithm: string, keyBlob: Buffer): Buffer {
  return new WireWriter()
    .string(sessionId)
    .byte(message.userauthRequest)
    .string(login)
    .string(NEXT_SERVICE)
    .string("publickey")
    .boolean(true)
    .string(algorithm)
    .string(keyBlob)
    .done();
}
