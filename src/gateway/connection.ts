/**
 * The life of one SSH connection: greeting → authenticated → relaying → ended. Each phase holds only what
 * exists by then; no byte reaches an environment before its person is admitted (invariant 1).
 *
 * Called by `listener.ts` for each accepted socket.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { Fault, toldOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { AuthServer, type Verified } from "../ssh/auth-server.ts";
import { disconnectReason, message } from "../ssh/numbers.ts";
import { fingerprintOf } from "../base/fingerprint.ts";
import { Transport, type Ending } from "../ssh/transport.ts";
import { admit, type Admitted } from "./admit.ts";
import { announceHostKeys, proveHostKeys } from "./host-key-proof.ts";
import type { AuditEvent } from "../wire/audit.ts";
import type { Person } from "../wire/person.ts";
import type { GatewayDeps } from "./ports.ts";
import type { Offers } from "./newcomers.ts";
import { untilRecorded } from "./recorded.ts";
import { Relay } from "./relay.ts";
import { makeSessionId, type Session } from "./sessions.ts";

/** What is known from the verified signature on. */
interface Identified {
  readonly id: string;
  readonly person: Person;
  readonly login: string;
  readonly fingerprint: string;
  readonly keyBlob: Buffer;
  readonly since: number;
  /** The same on the clock that never jumps, for how long things took. */
  readonly sinceElapsedMs: number;
  readonly log: Log;
}

type Phase =
  | { readonly phase: "greeting" }
  | { readonly phase: "authenticated"; readonly who: Identified; readonly stop: AbortController }
  | { readonly phase: "relaying"; readonly who: Identified; readonly stop: AbortController; readonly relay: Relay }
  | { readonly phase: "ended" };

export interface ConnectionOptions {
  readonly stream: Duplex;
  /** Address of the client, already taken from a PROXY header where that is allowed. */
  readonly from: string;
  /** Called once: a signature has verified, so this is no stranger any more. */
  readonly onIdentified: () => void;
  /** Called for each key that did not get in. */
  readonly onFailedKey: () => void;
  /** Called once, at the end. */
  readonly onEnded: () => void;
}

/** Silence after which the client is asked for a sign of life, in milliseconds (as `ClientAliveInterval 15`). */
const PROBE_MS = 15_000;
/** Unanswered questions after which it counts as gone (sshd_config(5), ClientAliveCountMax: 3). */
const PROBES_MAX = 3;

export class Connection {
  readonly #deps: GatewayDeps;
  readonly #options: ConnectionOptions;
  readonly #transport: Transport;
  readonly #auth: AuthServer;
  readonly #stopGrace: () => void;
  /** Aborts when the connection has ended. */
  readonly #over = new AbortController();
  readonly #offers: Offers;
  #phase: Phase = { phase: "greeting" };
  #session: Session | undefined;
  #admitted: Admitted | undefined;
  /** Whether the audit log has, or will have, its beginning, and so is to have its end. */
  #isRecorded = false;
  #lastInputAt: number;
  /** When the last message of any kind came, by `Clock.elapsed()`: a clock set forward makes nobody silent. */
  #lastHeardAtMs: number;
  #stopProbing: (() => void) | undefined;

  constructor(deps: GatewayDeps, options: ConnectionOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#lastInputAt = deps.clock.now();
    this.#lastHeardAtMs = deps.clock.elapsed();
    this.#transport = new Transport(
      { ...deps.rekey, stream: options.stream, clock: deps.clock, kex: { role: "server", hostKeys: deps.hostKeys() } },
      {
        ready: () => {},
        message: (payload, body) => {
          this.#take(payload, body);
        },
        drained: () => {
          if (this.#phase.phase === "relaying") this.#phase.relay.clientDrained();
        },
        ended: (ending) => {
          this.#end(ending);
        },
      },
    );
    this.#offers = deps.newcomers.meet(this.#over.signal);
    this.#auth = new AuthServer(this.#transport, {
      isKnown: (blob, login) => this.#offers.isKnown(blob, login),
      keysMax: deps.limits.keysPerConnection,
      onVerified: (verified) => {
        this.#identify(verified);
      },
      onFailed: () => {
        options.onFailedKey();
      },
    });
    const graceMs = deps.limits.loginGraceMs;
    this.#stopGrace = deps.clock.after(graceMs, () => {
      this.end(`No key was proved within ${graceMs / 1_000} s`);
    });
  }

  /** Cuts the connection: the client is told `reason`, exits 255 and shows it. */
  end(reason: string): void {
    this.#transport.disconnect(disconnectReason.byApplication, reason);
  }

  #take(payload: Buffer, body: Buffer): void {
    const { phase } = this.#phase;
    this.#lastHeardAtMs = this.#deps.clock.elapsed();
    // Requests to log in may still come when one has succeeded: the authentication knows what to do with them.
    if (phase === "greeting" || (phase !== "ended" && (payload[0] ?? 0) < message.globalRequest))
      this.#auth.take(payload);
    else if (this.#phase.phase === "relaying") this.#phase.relay.fromClient(payload, body);
    else if (phase === "authenticated")
      throw new Fault("protocol.violated", `Cannot take message ${payload[0]}: the login is being decided`);
  }

  /** From here on we know who it is: the one place where an identity comes from. */
  #identify(verified: Verified): void {
    this.#stopGrace();
    const whose = this.#deps.directory.whose(verified.keyBlob.toString("base64"));
    const id = makeSessionId();
    if (whose?.type !== "person") {
      this.#options.onFailedKey();
      const reason =
        whose === undefined
          ? "this key was just withdrawn"
          : "this key belongs to more than one account; take it off all of them but one, or use another";
      this.#recordRefused(id, verified, reason);
      this.end(`${reason} (session ${id})`);
      return;
    }
    const { person } = whose;
    this.#offers.identified();
    this.#transport.trust();
    this.#options.onIdentified();
    const who: Identified = {
      id,
      person,
      login: verified.login,
      fingerprint: fingerprintOf(verified.keyBlob),
      keyBlob: verified.keyBlob,
      since: this.#deps.clock.now(),
      sinceElapsedMs: this.#deps.clock.elapsed(),
      log: this.#deps.log.with({ session: id, person: person.name, from: this.#options.from }),
    };
    const stop = new AbortController();
    this.#phase = { phase: "authenticated", who, stop };
    this.#admit(who, stop).catch((error: unknown) => {
      this.#refuse(who, error);
    });
  }

  async #admit(who: Identified, stop: AbortController): Promise<void> {
    const session = this.#register(who);
    const showLine = (line: string): void => {
      // Lines for somebody who reads none are better lost than kept.
      if (this.#phase.phase === "authenticated" && !this.#transport.isFull) this.#auth.showBanner(`${line}\r\n`);
    };
    const admitted = await admit(
      this.#deps,
      {
        ...who,
        transport: this.#transport,
        showLine,
        onOver: (reason) => {
          this.end(`${reason} (session ${who.id})`);
        },
      },
      stop.signal,
    );
    if (stop.signal.aborted) {
      await admitted.end();
      return;
    }
    this.#admitted = admitted;
    // The log that is behind takes no record, and nobody gets in then: `untilRecorded` refuses.
    this.#isRecorded = !this.#deps.audit.isBehind;
    const opened = {
      type: "session.opened",
      session: who.id,
      person: who.person.name,
      fingerprint: who.fingerprint,
      from: this.#options.from,
      login: who.login,
      ...(admitted.environment === undefined ? {} : { environment: admitted.environment }),
    } as const;
    await untilRecorded(this.#deps, opened, showLine, stop.signal);
    if (!this.#transport.hasEnded) this.#relay(who, stop, admitted, session);
  }

  #relay(who: Identified, stop: AbortController, admitted: Admitted, session: Session): void {
    const relay = new Relay({
      client: this.#transport,
      far: admitted.far,
      judge: admitted.judge,
      onOpened: (wanted, verdict) => {
        admitted.onOpened(wanted, verdict);
      },
      proveHostKeys: (request) => proveHostKeys(this.#deps.hostKeys(), this.#transport, request),
      onInput: () => {
        this.#lastInputAt = this.#deps.clock.now();
      },
    });
    this.#phase = { phase: "relaying", who, stop, relay };
    admitted.start(relay);
    this.#auth.succeed();
    this.#transport.send(announceHostKeys(this.#deps.hostKeys()));
    this.#probe(relay);
    const ms = Math.round(this.#deps.clock.elapsed() - who.sinceElapsedMs);
    who.log.info("session.opened", { login: who.login, environment: session.environment, ms });
    this.#deps.metrics.sessionOpened(ms);
  }

  #register(who: Identified): Session {
    const { sessions, limits } = this.#deps;
    if (sessions.countOf(who.person.id) >= limits.sessionsPerPerson) {
      const told = `you have ${limits.sessionsPerPerson} sessions open, the most allowed; "ssh slip@host who" lists them`;
      throw new Fault("grant.absent", `Cannot open a session: ${who.person.name} has ${limits.sessionsPerPerson}`, {
        told,
      });
    }
    const relayed = (): Relay | undefined => (this.#phase.phase === "relaying" ? this.#phase.relay : undefined);
    const admitted = (): Admitted | undefined => this.#admitted;
    const lastInputAt = (): number => this.#lastInputAt;
    const session: Session = {
      id: who.id,
      person: who.person.name,
      personId: who.person.id,
      login: who.login,
      from: this.#options.from,
      fingerprint: who.fingerprint,
      client: this.#transport.peerIdentification,
      since: who.since,
      get environment() {
        return admitted()?.environment;
      },
      get lastInputAt() {
        return lastInputAt();
      },
      get bytesFromClient() {
        return relayed()?.bytesFromClient ?? 0;
      },
      get bytesToClient() {
        return relayed()?.bytesToClient ?? 0;
      },
      get channelCount() {
        return relayed()?.channelCount ?? 0;
      },
      end: (reason) => {
        this.end(`${reason} (session ${who.id})`);
      },
    };
    sessions.add(session);
    this.#session = session;
    return session;
  }

  #refuse(who: Identified, error: unknown): void {
    if (this.#transport.hasEnded) return;
    if (error instanceof Fault)
      who.log.warn("session.refused", { code: error.code, reason: error.message, login: who.login });
    else who.log.error("session.failed", error, { login: who.login });
    const lines = toldOf(error).split("\n");
    for (const line of lines.slice(1)) this.#auth.showBanner(`slipway: ${line}\r\n`);
    this.end(`${lines[0]} (session ${who.id})`);
  }

  /** Finds clients that vanished without a word: a laptop closed, a NAT entry gone. */
  #probe(relay: Relay): void {
    this.#stopProbing = this.#deps.clock.after(PROBE_MS, () => {
      const silentMs = this.#deps.clock.elapsed() - this.#lastHeardAtMs;
      // On a slow line an answer stands behind all the output before it: whoever says anything at all is there.
      if (relay.probeClient() >= PROBES_MAX && silentMs >= PROBES_MAX * PROBE_MS)
        this.end("the client no longer answers");
      else this.#probe(relay);
    });
  }

  #end(ending: Ending): void {
    this.#over.abort();
    this.#stopGrace();
    this.#stopProbing?.();
    const phase = this.#phase;
    this.#phase = { phase: "ended" };
    if (phase.phase === "authenticated" || phase.phase === "relaying") {
      phase.stop.abort();
      this.#close(phase.who, ending, phase.phase === "relaying" ? phase.relay : undefined);
    } else {
      this.#deps.log.debug("connection.ended", { from: this.#options.from, reason: ending.text, err: ending.cause });
    }
    if (ending.cause instanceof Fault) this.#deps.metrics.protocolFault(ending.cause.code);
    this.#options.onEnded();
  }

  #close(who: Identified, ending: Ending, relay: Relay | undefined): void {
    if (this.#session !== undefined) this.#deps.sessions.remove(this.#session);
    this.#admitted?.end().catch((error: unknown) => {
      who.log.error("session.end-failed", error);
    });
    const ms = Math.round(this.#deps.clock.elapsed() - who.sinceElapsedMs);
    const bytesIn = relay?.bytesFromClient ?? 0;
    const bytesOut = relay?.bytesToClient ?? 0;
    who.log.info("session.ended", { reason: ending.text, ms, bytesIn, bytesOut, err: ending.cause });
    this.#deps.metrics.sessionEnded(relay !== undefined, bytesIn, bytesOut);
    if (!this.#isRecorded) this.#recordRefused(who.id, who, ending.text);
    else this.#record({ type: "session.ended", session: who.id, reason: ending.text, bytesIn, bytesOut, ms });
  }

  /** Only of a proved key, which costs whoever tries it a signature and has somebody's name to it. */
  #recordRefused(id: string, whose: Verified & { readonly person?: Person }, reason: string): void {
    if (this.#deps.audit.isBehind) return;
    this.#record({
      type: "connection.refused",
      session: id,
      from: this.#options.from,
      reason,
      login: whose.login,
      fingerprint: fingerprintOf(whose.keyBlob),
      ...(whose.person === undefined ? {} : { person: whose.person.name }),
    });
  }

  #record(event: AuditEvent): void {
    this.#deps.audit.append(event).catch((error: unknown) => {
      this.#deps.log.error("audit.failed", error);
    });
  }
}
