/**
 * The ports of a forge server: plain HTTP and HTTPS, which can refuse connections for a while and then
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
  readonly address: string;
  readonly #servers: readonly (readonly [server: Server, port: number])[];

  constructor(address: string, servers: readonly [http: readonly [Server, number], https: readonly [Server, number]]) {
    this.address = address;
    this.#servers = servers;
    this.httpPort = servers[0][1];
    this.httpsPort = servers[1][1];
  }

  /** Lets connections in again after `refuse`. */
  async accept(): Promise<void> {
    for (const [server, port] of this.#servers) {
      if (!server.listening) await listenAt(server, port, this.address);
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

/** Opens both ports at the address that the certificate is for. */
export async function openListeners(handle: RequestListener, certificate: Certificate): Promise<Listeners> {
  const { key, cert, address } = certificate;
  const http = createServer(handle);
  const https = createSecureServer({ key, cert }, handle);
  return new Listeners(address, [
    [http, await listenAtFree(http, address)],
    [https, await listenAtFree(https, address)],
  ]);
}
