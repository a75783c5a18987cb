/**
 * Ports for servers of tests.
 *
 * @module
 */
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Ports of each worker of vitest, which runs one file at a time: none takes what another is about to listen at again. */
const [FIRST, EACH, WORKERS] = [20_000, 1_000, 12];

/** Counts up, since one that was found free is listened at only later, and must not be found again meanwhile. */
let next = randomInt(EACH);

/**
 * Finds a free TCP port of the loopback. Below the range that the kernel takes for outgoing connections (from 32768 on,
 * ip(7)), so that a server can be restarted on it.
 */
export async function freePort(): Promise<number> {
  const worker = Number(process.env["VITEST_POOL_ID"] ?? 0) % WORKERS;
  for (;;) {
    const port = FIRST + worker * EACH + (next++ % EACH);
    if (await isFree(port)) return port;
  }
}

/** How long a port that was just closed may be taken still: by a child of another thread that has not come to its program yet. */
const CLOSED_MS = 1_000;

/** Has a server listen at this port, of the loopback unless an address is named. */
export async function listenAt(server: Server, port: number, address = "127.0.0.1"): Promise<void> {
  for (const last = performance.now() + CLOSED_MS; ;) {
    try {
      server.listen(port, address);
      await once(server, "listening"); // rejects with what it fails by
      return;
    } catch (error) {
      if (Reflect.get(Object(error), "code") !== "EADDRINUSE" || performance.now() >= last) throw error;
      await sleep(10);
    }
  }
}

/** The same at a port at which it can be started again. @returns the port */
export async function listenAtFree(server: Server, address?: string): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    const port = await freePort();
    try {
      await listenAt(server, port, address);
      return port;
    } catch (error) {
      if (tries === 5) throw error; // others take ports at the same time, but not five in a row
    }
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  server.once("error", () => resolve(false));
  server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  return promise;
}
