/**
 * Ports for servers of tests.
 *
 * @module
 */
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/**
 * Finds a free TCP port of the loopback. Below the range that the kernel takes for outgoing connections (from 32768 on,
 * ip(7)), so that a server can be restarted on it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  server.once("error", () => resolve(false));
  server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  return promise;
}
