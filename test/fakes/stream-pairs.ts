/**
 * Two ends of a byte stream for tests: in memory, over a real socket of the loopback, and lending what is read.
 *
 * @module
 */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Duplex, duplexPair } from "node:stream";
import type { Passing } from "../../src/ssh/memory.ts";

/** Connects two sockets over 127.0.0.1, half-closable as the gateway's are. */
export async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("A TCP server has an address");
  const accepted = new Promise<Socket>((resolve) => {
    server.once("connection", resolve);
  });
  const near = connect({ port: address.port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  await once(near, "connect");
  const far = await accepted;
  server.close();
  return [near, far];
}

/** Of what is lent at once: a record of TLS. */
const PIECE_BYTES = 16_384;

/** An end that lends what it reads, as an exec stream does. Whoever keeps that finds other bytes there. */
class LendingEnd extends Duplex implements Passing {
  readonly #end: Duplex;
  #take: ((bytes: Buffer) => void) | undefined;

  constructor(end: Duplex) {
    super();
    this.#end = end;
    end.on("data", (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) this.#give(chunk.subarray(at, at + PIECE_BYTES));
    });
    end.on("end", () => this.push(null));
    end.on("error", (error) => this.destroy(error));
    end.on("close", () => this.destroy());
  }

  lend(take: (bytes: Buffer) => void): void {
    this.#take = take;
  }

  override _read(): void {
    this.#end.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#end.write(Buffer.from(chunk), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#end.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#end.destroy();
    done(error);
  }

  #give(piece: Buffer): void {
    const copy = Buffer.from(piece);
    const isAwaited = this.readableFlowing === true && this.readableLength === 0;
    if (this.#take !== undefined && isAwaited) {
      this.#take(copy);
      copy.fill(0xee);
    } else if (!this.push(copy)) {
      this.#end.pause();
    }
  }
}

function lendingPair(): [Duplex, Duplex] {
  const [one, other] = duplexPair();
  return [new LendingEnd(one), new LendingEnd(other)];
}

/** All kinds by name, for `test.each`. */
export const streamPairs: readonly { kind: string; open: () => Promise<[Duplex, Duplex]> }[] = [
  { kind: "memory", open: () => Promise.resolve(duplexPair()) },
  { kind: "sockets", open: socketPair },
  { kind: "streams that lend", open: () => Promise.resolve(lendingPair()) },
];
