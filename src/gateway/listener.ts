/**
 * Accepts TCP connections, turns away those that may not even speak, and makes a `Connection` of each of the others.
 *
 * Called by `cmd/`.
 *
 * @module
 */
import { BlockList, createServer, isIPv6, type Server, type Socket } from "node:net";
import { Fault } from "../base/fault.ts";
import type { AddressRange, ListenAddress } from "../wire/addresses.ts";
import { Connection } from "./connection.ts";
import type { RefusalReason } from "./metrics.ts";
import type { GatewayDeps } from "./ports.ts";
import { takeProxyHeader } from "./proxy-protocol.ts";
import { Strangers, type StrangerLimits } from "./strangers.ts";

export interface ListenerOptions {
  readonly addresses: readonly ListenAddress[];
  /** Ranges whose connections begin with a PROXY header. */
  readonly proxyProtocolFrom: readonly AddressRange[];
  readonly strangers: StrangerLimits;
}

export interface Listener {
  /** Where it listens, ports filled in. */
  readonly addresses: readonly ListenAddress[];
  readonly strangers: Strangers;
  /** Takes no more connections; those that have not proved a key are closed. */
  stop(): void;
}

/** Opens the listeners. @throws {Fault} `settings.invalid` when an address cannot be listened on */
export async function openListener(deps: GatewayDeps, options: ListenerOptions): Promise<Listener> {
  const acceptor = new Acceptor(deps, options);
  const servers: Server[] = [];
  try {
    for (const address of options.addresses) servers.push(await listen(address, acceptor));
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  return {
    addresses: servers.map(boundTo),
    strangers: acceptor.strangers,
    stop: () => {
      for (const server of servers) server.close();
      acceptor.stop();
    },
  };
}

async function listen(address: ListenAddress, acceptor: Acceptor): Promise<Server> {
  // allowHalfOpen: a client may close its half while the answer is still on its way.
  const server = createServer({ noDelay: true, allowHalfOpen: true, keepAlive: true }, (socket) => {
    acceptor.accept(socket);
  });
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  server.once("error", (cause) => {
    const text = `Cannot listen on ${address.host}:${address.port}: ${cause.message}`;
    reject(new Fault("settings.invalid", text, { told: text, cause }));
  });
  server.listen({ host: address.host, port: address.port, backlog: 1_024 }, () => {
    resolve(undefined);
  });
  await promise;
  server.on("error", (cause) => {
    acceptor.fail(cause);
  });
  return server;
}

function boundTo(server: Server): ListenAddress {
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("Cannot tell the port: a TCP server has no address");
  return { host: bound.address, port: bound.port };
}

/** How long a proxy may take for its header, in milliseconds (guess: it is sent with the first packet). */
const PROXY_HEADER_MS = 5_000;

/** How long a refusal may take to leave, in milliseconds (guess). */
const REFUSAL_MS = 1_000;

class Acceptor {
  readonly strangers: Strangers;
  readonly #deps: GatewayDeps;
  readonly #proxies = new BlockList();
  /** Connections that have not proved a key yet. */
  readonly #unproved = new Set<Connection>();
  #hasStopped = false;

  constructor(deps: GatewayDeps, options: ListenerOptions) {
    this.#deps = deps;
    this.strangers = new Strangers(options.strangers, deps.clock);
    for (const { address, prefixLength, family } of options.proxyProtocolFrom) {
      this.#proxies.addSubnet(address, prefixLength, family);
    }
  }

  accept(socket: Socket): void {
    this.#deps.metrics.connectionAccepted();
    const peer = socket.remoteAddress;
    if (peer === undefined) {
      socket.destroy();
      return;
    }
    socket.on("error", () => {}); // the close that follows is what counts
    if (!this.#isProxy(peer)) {
      this.#open(socket, peer);
      return;
    }
    takeProxyHeader(socket, this.#deps.clock, PROXY_HEADER_MS).then(
      (from) => {
        this.#open(socket, from ?? peer);
      },
      (error: unknown) => {
        this.#refuse(socket, peer, "proxy-header", error);
      },
    );
  }

  /** Something a listener ran into that was not one connection's, such as want of memory: it goes on. */
  fail(cause: Error): void {
    this.#deps.log.error("listener.failed", cause);
  }

  stop(): void {
    this.#hasStopped = true;
    for (const connection of this.#unproved) connection.end("Slipway is shutting down");
  }

  #isProxy(peer: string): boolean {
    return this.#proxies.check(peer, isIPv6(peer) ? "ipv6" : "ipv4");
  }

  #open(socket: Socket, from: string): void {
    if (this.#hasStopped) {
      this.#refuse(socket, from, "draining");
      return;
    }
    const stranger = this.strangers.enter(from, () => {
      this.#deps.metrics.connectionRefused("made-room");
      connection.end("This place was needed by somebody else; connect again");
    });
    if (!stranger.admitted) {
      this.#refuse(socket, from, stranger.reason);
      return;
    }
    let failedKeys = 0;
    const connection = new Connection(this.#deps, {
      stream: socket,
      from,
      onIdentified: () => {
        this.#unproved.delete(connection);
        stranger.leave("identified");
      },
      onFailedKey: () => {
        failedKeys++;
        this.#deps.metrics.keyRefused();
      },
      onEnded: () => {
        this.#unproved.delete(connection);
        stranger.leave(failedKeys > 0 ? "failed" : "quiet");
      },
    });
    this.#unproved.add(connection);
  }

  #refuse(socket: Socket, from: string, reason: RefusalReason, cause?: unknown): void {
    this.#deps.metrics.connectionRefused(reason);
    this.#deps.log.debug("connection.refused", { from, reason, err: cause });
    // `ssh -v` shows lines before the identification, and so do most who look at a capture.
    socket.end(`Slipway takes no connection from here now: ${reason}\r\n`);
    this.#deps.clock.after(REFUSAL_MS, () => socket.destroy());
  }
}
