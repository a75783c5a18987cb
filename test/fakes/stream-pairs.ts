/**
 * Two ends of a byte stream for tests: in memory, and over a real socket of the loopback.
 *
 * @module
 */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { duplexPair, type Duplex } from "node:stream";

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

/** Both kinds by name, for `test.each`. */
export const streamPairs: readonly { kind: string; open: () => Promise<[Duplex, Duplex]> }[] = [
  { kind: "memory", open: () => Promise.resolve(duplexPair()) },
  { kind: "sockets", open: socketPair },
];
