/**
 * What requests and WebSockets to one API server have in common: where it is, how we prove who we are, whose turn it is.
 *
 * `requests.ts` and `watch-stream.ts` send HTTP with it, `exec.ts` opens WebSockets. It sends nothing itself.
 *
 * @module
 */
import { URL } from "node:url";

import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { ResolvedAccess } from "./access.ts";
import { type Credentials, openCredentials } from "./credentials.ts";
import { makeTurns } from "./turns.ts";

export interface Connection {
  /** Of the cluster, as in the settings. */
  readonly name: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when the client is closed. */
  readonly closing: AbortSignal;
  /** Where `path` is served (`/api/v1/pods`), with the query. */
  urlOf(path: string, query?: Query): URL;
  /**
   * Headers and TLS options for the next request; may read files or ask a program.
   *
   * @throws {Fault} `cluster.unreached` when there are none to be had
   */
  credentials(signal: AbortSignal): Promise<Credentials>;
  /** Tells that the server answered 401 to these; the next that are asked for are had anew. */
  refuse(credentials: Credentials): void;
  /** Waits until one more request may be sent, and counts it as `what`: `exec pods`. Rejects when `signal` aborts. */
  turn(what: string, signal: AbortSignal): Promise<void>;
  /** Requests sent, by what they were. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Values of the same name more than once come as a list. */
export type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface ConnectionOptions {
  readonly name: string;
  readonly access: ResolvedAccess;
  readonly requestRate: { readonly perSecond: number; readonly burst: number };
  readonly clock: Clock;
  readonly log: Log;
}

/** Makes a connection; needs no network. */
export function makeConnection(options: ConnectionOptions, closing: AbortSignal): Connection {
  const { name, access, requestRate, clock, log } = options;
  const credentials = openCredentials(access, { name, clock, log });
  const turns = makeTurns(requestRate, clock);
  const counts = new Map<string, number>();
  return {
    name,
    clock,
    log,
    closing,
    counts,
    urlOf: (path, query) => writeUrl(access.server, path, query),
    credentials: credentials.current,
    refuse: credentials.refuse,
    turn: async (what, signal) => {
      await turns.next(signal);
      counts.set(what, (counts.get(what) ?? 0) + 1);
    },
  };
}

function writeUrl(server: string, path: string, query: Query = {}): URL {
  const url = new URL(server + path);
  for (const [name, value] of Object.entries(query)) {
    for (const each of typeof value === "string" ? [value] : (value ?? [])) url.searchParams.append(name, each);
  }
  return url;
}
