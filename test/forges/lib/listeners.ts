/**
 * The ports of a forge server: plain HTTP and HTTPS on the loopback, which can refuse connections for a while and then
 * be there again at the same numbers.
 *
 * @module
 */
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { freePort } from "../../harness/free-port.ts";
import type { Certificate } from "./certificate.ts";

export class Listeners {
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly #servers: readonly (readonly [server: Server, port: number])[];

  constructor(servers: readonly [http: readonly [Server, number], https: readonly [Server, number]]) {
    this.#servers = servers;
    this.httpPort = servers[0][1];
    this.httpsPort = servers[1][1];
  }

  /** Lets connections in again after `refuse`. */
  async accept(): Promise<void> {
    for (const [server, port] of this.#servers) {
      if (server.listening) continue;
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, "127.0.0.1", () => {
          server.off("error", reject);
          resolve();
        });
      });
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

/** Opens both ports. */
export async function openListeners(handle: RequestListener, certificate: Certificate): Promise<Listeners> {
  const { key, cert } = certificate;
  for (let tries = 1; ; tries += 1) {
    const listeners = new Listeners([
      [createServer(handle), await freePort()],
      [createSecureServer({ key, cert }, handle), await freePort()],
    ]);
    try {
      await listeners.accept();
      return listeners;
    } catch (error) {
      await listeners.refuse();
      if (tries === 5) throw error; // others take ports at the same time, but not five in a row
    }
  }
}
