/**
 * A line between clients and a service that says how much has gone by, so that a test can act in the middle of a transfer
 * however fast the machine is.
 *
 * @module
 */
import { connect, createServer, type Socket } from "node:net";

export interface CountedLine extends AsyncDisposable {
  /** Where clients connect to. */
  readonly port: number;
  /** Bytes both ways since `begin`. */
  readonly bytes: number;
  /** Counts from nothing. */
  begin(): void;
  /** Resolves when so many bytes have gone by. */
  until(bytes: number): Promise<void>;
}

/** Opens a line to a port of this machine, which may be closed at times: clients are hung up on then. */
export async function openCountedLine(to: number): Promise<CountedLine> {
  let bytes = 0;
  let wanted = Infinity;
  let reached = Promise.withResolvers<undefined>();
  const sockets = new Set<Socket>();
  const pass = (from: Socket, into: Socket): void => {
    sockets.add(from);
    from.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes >= wanted) reached.resolve(undefined);
    });
    from.on("error", () => {}); // the close that follows is what counts
    from.on("close", () => {
      sockets.delete(from);
      into.destroy();
    });
    from.pipe(into);
  };
  const server = createServer({ noDelay: true }, (client) => {
    const service = connect({ host: "127.0.0.1", port: to, noDelay: true });
    pass(client, service);
    pass(service, client);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot tell the port: the server has none");
  return {
    port: address.port,
    get bytes() {
      return bytes;
    },
    begin: () => {
      bytes = 0;
      wanted = Infinity;
    },
    until: async (count) => {
      wanted = count;
      reached = Promise.withResolvers<undefined>();
      if (bytes < wanted) await reached.promise;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
