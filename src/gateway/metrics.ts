/**
 * What Prometheus reads. Labels come from small closed sets: never a person, a login or an address.
 *
 * @module
 */
import { Counter, Gauge as PromGauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { FaultCode } from "../base/fault.ts";

/** Channel types and requests that may be a label; anything else a client invents counts as `other`. */
const KNOWN_TYPES = new Set([
  "session",
  "shell",
  "exec",
  "subsystem",
  "direct-tcpip",
  "direct-streamlocal@openssh.com",
  "tcpip-forward",
  "streamlocal-forward@openssh.com",
]);

/** Seconds: a login into a running environment takes some 30 ms, the first one up to minutes. */
const LOGIN_BUCKETS = [0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300];

/** Why a connection was not let further. */
export type RefusalReason =
  "too-many" | "too-many-from-address" | "made-room" | "backing-off" | "proxy-header" | "draining";

/** A value read at each scrape: one, or one for each set of labels. */
export interface Gauge {
  readonly help: string;
  /** Whether it only grows while the process runs. @default false */
  readonly isTotal?: boolean;
  readonly labelNames?: readonly string[];
  readonly read: () =>
    number | readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

export class Metrics {
  readonly registry = new Registry();
  readonly #registers = [this.registry];
  readonly #connections = new Counter({
    name: "slipway_connections_total",
    help: "TCP connections accepted",
    registers: this.#registers,
  });
  readonly #refused = new Counter({
    name: "slipway_connections_refused_total",
    help: "TCP connections closed before authentication, by reason",
    labelNames: ["reason"],
    registers: this.#registers,
  });
  readonly #failedKeys = new Counter({
    name: "slipway_keys_refused_total",
    help: "Public keys offered that are unknown or did not verify",
    registers: this.#registers,
  });
  readonly #protocolFaults = new Counter({
    name: "slipway_protocol_faults_total",
    help: "Connections ended because the peer broke the protocol, by fault",
    labelNames: ["code"],
    registers: this.#registers,
  });
  readonly #logins = new Histogram({
    name: "slipway_login_seconds",
    help: "From the verified signature to the open session, in seconds",
    buckets: LOGIN_BUCKETS,
    registers: this.#registers,
  });
  readonly #refusedLogins = new Counter({
    name: "slipway_logins_refused_total",
    help: "Authenticated connections that were not admitted",
    registers: this.#registers,
  });
  readonly #revoked = new Counter({
    name: "slipway_sessions_revoked_total",
    help: "Live sessions that ended because their person's right did",
    registers: this.#registers,
  });
  readonly #stale = new Counter({
    name: "slipway_logins_stale_total",
    help: "Sessions let in by the last good answer of a forge that could not be asked",
    registers: this.#registers,
  });
  readonly #bytes = new Counter({
    name: "slipway_relayed_bytes_total",
    help: "Channel data of ended sessions, by direction",
    labelNames: ["direction"],
    registers: this.#registers,
  });
  readonly #channels = new Counter({
    name: "slipway_channels_total",
    help: "Channels, programs and forwards asked for, by type and verdict",
    labelNames: ["type", "allowed"],
    registers: this.#registers,
  });

  /** @param gauges values read at each scrape, by name */
  constructor(gauges: Readonly<Record<string, Gauge>>) {
    collectDefaultMetrics({ register: this.registry });
    for (const [name, gauge] of Object.entries(gauges)) addGauge(this.registry, name, gauge);
  }

  connectionAccepted(): void {
    this.#connections.inc();
  }

  connectionRefused(reason: RefusalReason): void {
    this.#refused.inc({ reason });
  }

  keyRefused(): void {
    this.#failedKeys.inc();
  }

  protocolFault(code: FaultCode): void {
    this.#protocolFaults.inc({ code });
  }

  sessionOpened(ms: number): void {
    this.#logins.observe(ms / 1_000);
  }

  sessionEnded(wasOpen: boolean, bytesFromClient: number, bytesToClient: number): void {
    if (!wasOpen) this.#refusedLogins.inc();
    this.#bytes.inc({ direction: "from_client" }, bytesFromClient);
    this.#bytes.inc({ direction: "to_client" }, bytesToClient);
  }

  loginStale(): void {
    this.#stale.inc();
  }

  sessionRevoked(): void {
    this.#revoked.inc();
  }

  channelOpened(type: string, allowed: boolean): void {
    this.#channels.inc({ type: KNOWN_TYPES.has(type) ? type : "other", allowed: String(allowed) });
  }
}

function addGauge(registry: Registry, name: string, { help, isTotal = false, labelNames = [], read }: Gauge): void {
  const about = { name, help, labelNames: [...labelNames], registers: [registry] };
  const values = () => {
    const now = read();
    return typeof now === "number" ? [{ labels: {}, value: now }] : now;
  };
  if (isTotal) {
    new Counter({
      ...about,
      collect() {
        this.reset();
        for (const { labels, value } of values()) this.inc(labels, value);
      },
    });
  } else {
    new PromGauge({
      ...about,
      collect() {
        this.reset();
        for (const { labels, value } of values()) this.set(labels, value);
      },
    });
  }
}
