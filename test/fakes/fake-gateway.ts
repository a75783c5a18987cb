/**
 * A gateway whose surroundings are made up: one person, one environment in this process, time moved by hand. What is
 * real is all that a client can touch: `Connection` and everything below it.
 *
 * @module
 */
import { generateKeyPairSync } from "node:crypto";
import type { Duplex } from "node:stream";

import type { Clock } from "../../src/base/clock.ts";
import type { Log } from "../../src/base/log.ts";
import { Connection } from "../../src/gateway/connection.ts";
import { Metrics } from "../../src/gateway/metrics.ts";
import type { GatewayDeps } from "../../src/gateway/ports.ts";
import { Sessions } from "../../src/gateway/sessions.ts";
import { AuthServer, signedData } from "../../src/ssh/auth-server.ts";
import { message } from "../../src/ssh/numbers.ts";
import { makeSigningKey, type SigningKey } from "../../src/ssh/private-keys.ts";
import { Transport } from "../../src/ssh/transport.ts";
import { WireWriter } from "../../src/ssh/wire.ts";
import type { AuditEvent } from "../../src/wire/audit.ts";
import type { Person } from "../../src/wire/person.ts";
import { HandClock } from "./hand-clock.ts";
import { RawPeer, type RawPeerOptions } from "./raw-peer.ts";
import { Recorder } from "./recorder.ts";
import { socketPair } from "./stream-pairs.ts";

export interface LogLine {
  readonly event: string;
  readonly level: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A log that is a list. */
function makeListLog(lines: LogLine[], facts: Readonly<Record<string, unknown>> = {}): Log {
  const at = (level: string) => (event: string, more?: Readonly<Record<string, unknown>>) => {
    lines.push({ event, level, facts: { ...facts, ...more } });
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: (event, cause, more) => {
      at("error")(event, { err: cause, ...more });
    },
    with: (more) => makeListLog(lines, { ...facts, ...more }),
  };
}

/** The `sshd` of an environment, as far as the gateway speaks to it: it lets the gateway's key in. */
export class FakeFar {
  readonly told = new Recorder();
  readonly transport: Transport;
  readonly isInside: Promise<void>;

  constructor(stream: Duplex, clock: Clock, keys: { hostKey: SigningKey; gatewayKey: SigningKey }) {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.isInside = promise;
    let isInside = false;
    this.transport = new Transport(
      { stream, clock, kex: { role: "server", hostKeys: [keys.hostKey] } },
      {
        ready: () => {},
        message: (payload, body) => {
          if (isInside) this.told.message(payload, body);
          else auth.take(payload);
        },
        drained: () => {
          this.told.drained();
        },
        ended: (ending) => {
          this.told.ended(ending);
        },
      },
    );
    const auth = new AuthServer(this.transport, {
      isKnown: (blob) => blob.equals(keys.gatewayKey.blob),
      keysMax: 1,
      onVerified: () => {
        isInside = true;
        this.transport.trust();
        auth.succeed();
        resolve(undefined);
      },
      onFailed: () => {},
    });
  }

  /** Confirms the channel that the gateway opens next, without end of window, and returns its number. */
  async acceptChannel(): Promise<number> {
    const isOpen = (payload: Buffer): boolean => payload[0] === message.channelOpen;
    await this.told.until(() => this.told.messages.some(isOpen));
    const at = this.told.messages.findIndex(isOpen);
    const [open = Buffer.alloc(0)] = this.told.messages.splice(at, 1);
    const id = open.readUInt32BE(5 + open.readUInt32BE(1));
    const confirmation = new WireWriter().byte(message.channelOpenConfirmation).uint32(id).uint32(id);
    this.transport.send(confirmation.uint32(0xffffffff).uint32(32_768).done());
    return id;
  }
}

export interface FakeGateway {
  readonly deps: GatewayDeps;
  readonly clock: HandClock;
  readonly log: LogLine[];
  readonly audit: AuditEvent[];
  /** The key of Ada, the one person there is. */
  readonly ada: SigningKey;
  /** The environments entered so far. */
  readonly fars: FakeFar[];
  readonly connections: {
    readonly connection: Connection;
    readonly stream: Duplex;
    hasEnded: boolean;
    failedKeys: number;
  }[];
  /** Opens a connection; the other end of its stream is the client's. */
  connect(): Promise<Duplex>;
  /** A client with the first keys exchanged. */
  meet(options?: Omit<RawPeerOptions, "stream">): Promise<RawPeer>;
  /** A client that is in, and its environment. */
  enter(options?: Omit<RawPeerOptions, "stream">): Promise<{ peer: RawPeer; far: FakeFar }>;
}

export interface FakeGatewayOptions {
  readonly deps?: Partial<GatewayDeps>;
  /** Is handed each environment's side as it is made. */
  readonly onFar?: (far: FakeFar) => void;
  /** Runs when an environment is asked for, before it is given. */
  readonly onEnter?: (report: (line: string) => void, signal: AbortSignal) => Promise<void>;
}

/** Ada, as everything knows her. */
export const ADA: Person = { id: "ada", name: "ada", fullName: "Ada", email: "ada@example.com", admin: false };

/** A directory of Ada alone, who may do everything for as long as her key is known. */
export function directoryOf(isAdas: (key: string) => boolean): GatewayDeps["directory"] {
  return {
    whose: (key) => (isAdas(key) ? { type: "person", person: ADA } : undefined),
    mayUse: async () => ({ allowed: true }),
    judge: () => ({ allowed: true }),
    watch: () => () => {},
  };
}

const metrics = new Metrics({});

export function makeFakeGateway(options: FakeGatewayOptions = {}): FakeGateway {
  const key = (): SigningKey => makeSigningKey(generateKeyPairSync("ed25519").privateKey);
  const [hostKey, gatewayKey, farKey, ada] = [key(), key(), key(), key()];
  const clock = new HandClock(1_700_000_000_000);
  const log: LogLine[] = [];
  const audit: AuditEvent[] = [];
  const fars: FakeFar[] = [];
  const connections: FakeGateway["connections"] = [];
  const deps: GatewayDeps = {
    clock,
    log: makeListLog(log),
    audit: {
      append: async (event) => {
        audit.push(event);
      },
      isBehind: false,
    },
    metrics,
    sessions: new Sessions(),
    hostKeys: () => [hostKey],
    gatewayKey,
    directory: directoryOf((key) => key === ada.blob.toString("base64")),
    newcomers: {
      meet: () => ({
        isKnown: (blob) => deps.directory.whose(blob.toString("base64")) !== undefined,
        identified: () => {},
      }),
    },
    environments: {
      onGone: () => () => {},
      enter: async ({ login }, report, signal) => {
        await options.onEnter?.(report, signal);
        return {
          id: "e1",
          login,
          repository: "hello",
          attached: () => () => {},
          judge: () => ({ allowed: true }),
          connect: async () => {
            const [near, far] = await socketPair();
            const made = new FakeFar(far, clock, { hostKey: farKey, gatewayKey });
            fars.push(made);
            options.onFar?.(made);
            const end = async (): Promise<void> => {
              near.destroy();
            };
            return { stream: near, hostKey: farKey.blob, user: "dev", end };
          },
        };
      },
    },
    lobby: {
      isLobby: () => false,
      open: () => {
        throw new Error("No lobby here");
      },
    },
    limits: { loginGraceMs: 30_000, keysPerConnection: 20, sessionsPerPerson: 100 },
    ...options.deps,
  };
  const gateway: FakeGateway = {
    ...{ deps, clock, log, audit, ada, fars, connections },
    connect: async () => {
      const [near, far] = await socketPair();
      near.on("error", () => {});
      const connection = new Connection(deps, {
        stream: far,
        from: "192.0.2.1",
        onIdentified: () => {},
        onFailedKey: () => {
          entry.failedKeys++;
        },
        onEnded: () => {
          entry.hasEnded = true;
        },
      });
      const entry = { connection, stream: far, hasEnded: false, failedKeys: 0 };
      connections.push(entry);
      return near;
    },
    meet: async (peerOptions = {}) => {
      const peer = new RawPeer({ stream: await gateway.connect(), ...peerOptions });
      await peer.start();
      return peer;
    },
    enter: async (peerOptions = {}) => {
      const peer = await gateway.meet(peerOptions);
      sendLogin(peer, ada, "hello-main");
      await peer.nextOf(message.userauthSuccess);
      const far = fars.at(-1);
      if (far === undefined) throw new Error("No environment was entered");
      return { peer, far };
    },
  };
  return gateway;
}

/** Asks for the authentication service and proves a key. */
export function sendLogin(peer: RawPeer, key: SigningKey, login: string): void {
  peer.send(new WireWriter().byte(message.serviceRequest).string("ssh-userauth").done());
  peer.send(loginRequest(peer, key, login));
}

/** A signed request to log in. */
export function loginRequest(peer: RawPeer, key: SigningKey, login: string): Buffer {
  if (peer.sessionId === undefined) throw new Error("The first keys are not exchanged");
  const algorithm = key.algorithms[0] ?? "";
  const data = signedData(peer.sessionId, Buffer.from(login), algorithm, key.blob);
  const request = data.subarray(4 + peer.sessionId.length);
  return new WireWriter().bytes(request).string(key.sign(algorithm, data)).done();
}
