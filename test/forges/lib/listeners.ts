/**
 * The ports of a forge server: plain HTTP on the loopback, where alone Slipway takes it, and HTTPS at any address, which can refuse connections for a while and then
 * be there again at the same numbers.
 *
 * @module
 */
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { listenAt, listenAtFree } from "../../harness/free-port.ts";
import type { Certificate } from "./certificate.ts";

export class Listeners {
  readonly httpPort: number;
  readonly httpsPort: number;
  /** Of HTTPS. */
  readonly address: string;
  readonly #servers: readonly (readonly [server: Server, port: number, address?: string])[];

  constructor(address: string, servers: readonly [http: readonly [Server, number], https: readonly [Server, number]]) {
    const [http, https] = servers;
    this.address = address;
    this.#servers = [http, [...https, address]];
    this.httpPort = servers[0][1];
    this.httpsPort = servers[1][1];
  }

  /** Lets connections in again after `refuse`. */
  async accept(): Promise<void> {
    for (const [server, port, address] of this.#servers) {
      if (!server.listening) await listenAt(server, port, address);
    }
  }

  /** Ends every connection and lets none in: whoever connects is refused by the kernel. */
  async refuse(): Promise<void> {
    for (const [server] of this.#servers) {
      if (!server.listening) continue;
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    }
  }
}

/** Opens both ports, that of HTTPS at the address that the certificate is for. */
export async function openListeners(handle: RequestListener, certificate: Certificate): Promise<Listeners> {
  const { key, cert, address } = certificate;
  const http = createServer(handle);
  const https = createSecureServer({ key, cert }, handle);
  return new Listeners(address, [
    [http, await listenAtFree(http)],
    [https, await listenAtFree(https, address)],
  ]);
}
