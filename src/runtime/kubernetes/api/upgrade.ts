/**
 * Opens a connection to an API server and has it upgraded to WebSocket frames (RFC 6455 section 4).
 *
 * What arrives is not a stream of buffers: Node reads into one place for all connections, and whoever reads a connection is
 * lent that. (Bytes as a stream, through the library `ws`, took 1.3 s of processor time a GB, this takes 0.45; and the buffers
 * were most of the gateway's garbage. `docs/decisions/0010-own-kubernetes-client.md`.)
 *
 * Called by `exec.ts` alone.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { request, type ClientRequest, type IncomingMessage } from "node:http";
import { connect, isIP, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";

import type { ExecConnection } from "./exec-connection.ts";

/** Section 1.3. */
const ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Most bytes read of an answer that is no upgrade. */
const REFUSAL_BYTES = 16 * 1_024;

/**
 * Where Node puts what it reads, of any connection: it calls back before it reads anything else. A read of TLS is one record
 * at most, 16 KiB.
 */
const place = Buffer.allocUnsafeSlow(64 * 1_024);

/** A connection that carries frames. */
export interface Link {
  readonly socket: Socket;
  /** The subprotocol that the server chose. */
  readonly protocol: string;
}

/** Who reads a link, and sees to its errors and its end. */
export interface LinkReader {
  /** The bytes are lent until it returns. */
  arrived(bytes: Buffer): void;
}

/** The server answered, and not with an upgrade. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly httpStatus: number;
  readonly body: string;

  constructor(httpStatus: number, body: string) {
    super(`HTTP status ${httpStatus}`);
    this.httpStatus = httpStatus;
    this.body = body;
  }
}

export interface UpgradeAsk {
  readonly url: URL;
  readonly tls: ExecConnection["tls"];
  readonly headers: Readonly<Record<string, string>>;
  /** Subprotocols, the preferred first. */
  readonly protocols: readonly string[];
}

/**
 * Opens one for the reader that `begin` makes.
 *
 * @param signal bounds the opening alone
 * @throws {Refused} or what `signal` says, or what broke the connection
 */
export async function openLink<Reader extends LinkReader>(
  ask: UpgradeAsk,
  begin: (link: Link) => Reader,
  signal: AbortSignal,
): Promise<Reader> {
  signal.throwIfAborted();
  const carrier = new Carrier(ask);
  const key = randomBytes(16).toString("base64");
  const sent = sendAsk(ask, carrier, key);
  const opened = Promise.withResolvers<Reader>();
  sent.on("error", opened.reject);
  sent.on("response", (response) => void readRefusal(response).then(opened.reject, opened.reject));
  sent.on("upgrade", (response, _carrier, head) => {
    const protocol = response.headers["sec-websocket-protocol"] ?? "";
    if (!ask.protocols.includes(protocol) || response.headers["sec-websocket-accept"] !== acceptOf(key)) {
      opened.reject(new Error("The server does not speak the protocol of an exec"));
      return;
    }
    const reader = begin({ socket: carrier.socket, protocol });
    carrier.handOver(reader);
    reader.arrived(head);
    opened.resolve(reader);
  });
  const giveUp = (): void => opened.reject(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    return await opened.promise;
  } catch (error) {
    carrier.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

function sendAsk({ url, headers, protocols }: UpgradeAsk, carrier: Carrier, key: string): ClientRequest {
  const sent = request({
    createConnection: () => carrier,
    host: url.hostname,
    port: url.port,
    path: `${url.pathname}${url.search}`,
    headers: {
      ...headers,
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": key,
      "sec-websocket-protocol": protocols.join(", "),
    },
  });
  sent.end();
  return sent;
}

function acceptOf(key: string): string {
  return createHash("sha1").update(`${key}${ACCEPT_SUFFIX}`).digest("base64");
}

async function readRefusal(response: IncomingMessage): Promise<Refused> {
  let body = "";
  response.setEncoding("utf8");
  try {
    for await (const text of response as AsyncIterable<string>) {
      body += text;
      if (body.length > REFUSAL_BYTES) break;
    }
  } catch {
    // what came of it says enough
  }
  return new Refused(response.statusCode ?? 0, body);
}

/** What Node's HTTP client sees of a connection. */
class Carrier extends Duplex {
  readonly socket: Socket;
  readonly #onError = (error: Error): void => void this.destroy(error);
  readonly #onEnd = (): void => void this.push(null);
  #reader: LinkReader | undefined;

  constructor(ask: UpgradeAsk) {
    super();
    this.socket = openSocket(ask, (count) => {
      const bytes = place.subarray(0, count);
      if (this.#reader === undefined) this.push(Buffer.from(bytes));
      else this.#reader.arrived(bytes);
      return true;
    });
    this.socket.on("error", this.#onError).on("close", this.#onEnd);
  }

  /** From now on the connection is no business of HTTP. */
  handOver(reader: LinkReader): void {
    this.#reader = reader;
    this.socket.off("error", this.#onError).off("close", this.#onEnd);
  }

  // Nothing is held back: the head of an answer is short, and who reads a refusal ends it.
  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.socket.write(chunk, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.#reader === undefined) this.socket.destroy();
    done(error);
  }
}

function openSocket({ url, tls }: UpgradeAsk, callback: (count: number) => boolean): Socket {
  const isTls = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port === "" ? (isTls ? 443 : 80) : url.port);
  const where = { host, port, noDelay: true, onread: { buffer: place, callback } };
  // A name of a server is no address (RFC 6066 section 3).
  return isTls ? connectTls({ servername: isIP(host) === 0 ? host : "", ...where, ...tls }) : connect(where);
}
