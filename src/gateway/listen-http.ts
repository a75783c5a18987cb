/**
 * Has an HTTP server of Node's listen where the settings say.
 *
 * Called by `http.ts` and `webhooks.ts`.
 *
 * @module
 */
import type { Server } from "node:http";
import { Fault } from "../base/fault.ts";
import type { ListenAddress } from "../wire/addresses.ts";

/** Listens, and returns the port. @throws {Fault} `settings.invalid` when the address cannot be listened on */
export async function listenHttp(server: Server, { host, port }: ListenAddress, what: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const fail = (cause: Error): void => {
    const text = `Cannot listen on ${host}:${port} for ${what}: ${cause.message}`;
    reject(new Fault("settings.invalid", text, { told: text, cause }));
  };
  server.once("error", fail);
  server.listen({ host, port }, () => {
    resolve(undefined);
  });
  await promise;
  server.off("error", fail);
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("Cannot tell the port: a TCP server has no address");
  return bound.port;
}
