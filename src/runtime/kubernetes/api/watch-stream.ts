/**
 * One stream of changes from an API server, from the request to its end. `watch.ts` begins one after another.
 *
 * @module
 */
import type { IncomingMessage } from "node:http";

import type { ObjectKind } from "../../../wire/kubernetes.ts";
import type { Where } from "./cluster-api.ts";
import type { Connection } from "./connection.ts";
import { explain, type makeAgents, onceConnected, sendHttp } from "./exchange.ts";
import type { WatchEvent } from "./known-objects.ts";
import { makeLines } from "./lines.ts";
import { isRecord, pathOf, takeObject } from "./objects.ts";
import { parseJson } from "./requests.ts";
import { type Asked, faultOf, readStatus, unreachedFault } from "./server-status.ts";

/** How a stream ended. */
export type StreamEnd =
  /** As was agreed: the next begins where this one was. */
  | { readonly type: "over" }
  /** The server does not remember what came after the version asked for, or what it sends makes no sense: list anew. */
  | { readonly type: "lost"; readonly fault: Error; readonly isExpected: boolean }
  /** The next may begin where this one was. */
  | { readonly type: "failed"; readonly fault: Error };

export interface StreamOptions {
  readonly connection: Connection;
  readonly agents: ReturnType<typeof makeAgents>;
  readonly kind: ObjectKind;
  readonly where: Where;
  /** Begins after this. */
  readonly version: string;
  /** After so long without a byte it is taken for dead; `undefined` while nobody knows how often the server speaks. */
  readonly silenceMs: () => number | undefined;
  onUp(): void;
  /** @returns false when it makes no sense */
  onEvent(event: WatchEvent): boolean;
  /** @returns false when it makes no sense */
  onBookmark(version: string): boolean;
}

/** A line holds one object, and those are 1.5 MiB at most in etcd. */
const LINE_MAX_BYTES = 16 * 2 ** 20;

/** The server ends a stream itself after this long, so that they spread over its replicas. */
const SHORTEST_S = 300;
const LONGEST_S = 600;

/** For the head of the answer: servers send it before there is any change. */
const HEAD_MS = 30_000;

/** Opens a stream and hands on what comes until it ends. Never rejects for what a server does. */
export async function readStream(options: StreamOptions, signal: AbortSignal): Promise<StreamEnd> {
  const { connection, kind, where, version } = options;
  const credentials = await connection.credentials(signal);
  await connection.turn(`watch ${kind.resource}`, signal);
  const seconds = Math.round(SHORTEST_S + Math.random() * (LONGEST_S - SHORTEST_S));
  const url = connection.urlOf(pathOf(kind, where.namespace), {
    watch: "true",
    allowWatchBookmarks: "true",
    resourceVersion: version,
    timeoutSeconds: String(seconds),
    labelSelector: where.labelSelector,
  });
  const agent = options.agents.of(credentials.tls);
  const sent = sendHttp({ method: "GET", url, credentials, headers: {} }, agent);
  const ended = Promise.withResolvers<StreamEnd>();
  const fail = (why: string, cause?: unknown): void =>
    ended.resolve({ type: "failed", fault: unreachedFault(connection.name, askedOf(options), why, cause) });
  const abort = (): void => fail("the watch was closed");
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  const timing = limitTime(options, seconds, fail);
  sent.once("socket", () => onceConnected(sent, timing.connected));
  sent.on("error", (error) => fail(explain(error), error));
  sent.on("response", (response) => {
    if (response.statusCode === 401) connection.refuse(credentials);
    response.on("error", (error) => fail(explain(error), error));
    timing.heard();
    if (response.statusCode === 200) readEvents(response, { ...options, onBytes: timing.heard }, ended.resolve);
    else void readRefusal(response, options).then(ended.resolve, (error: unknown) => fail(explain(error), error));
  });
  try {
    return await ended.promise;
  } finally {
    timing.stop();
    signal.removeEventListener("abort", abort);
    sent.destroy();
  }
}

function askedOf({ kind, where }: Pick<StreamOptions, "kind" | "where">): Asked {
  const within = where.namespace === undefined ? {} : { namespace: where.namespace };
  return { verb: "watch", resource: kind.resource, ...within };
}

/**
 * Peers that vanish are noticed by the kernel (`exchange.ts`, in 30 s); this is for those whose connection lives on
 * while nobody serves it.
 */
function limitTime({ connection, silenceMs }: StreamOptions, seconds: number, fail: (why: string) => void) {
  const { clock } = connection;
  const after = (ms: number, why: string) => clock.after(ms, () => fail(why));
  const wholeMs = (seconds + 30) * 1_000;
  const cancelWhole = after(wholeMs, `the server did not end the stream after ${seconds} s`);
  let cancel = after(HEAD_MS, `there was no connection within ${HEAD_MS} ms`);
  return {
    connected: (): void => {
      cancel();
      cancel = after(HEAD_MS, `there was no answer within ${HEAD_MS} ms`);
    },
    heard: (): void => {
      cancel();
      const ms = silenceMs();
      cancel = ms === undefined ? () => undefined : after(ms, `the server was silent for ${ms} ms`);
    },
    stop: (): void => {
      cancel();
      cancelWhole();
    },
  };
}

function readEvents(
  response: IncomingMessage,
  options: StreamOptions & { readonly onBytes: () => void },
  end: (how: StreamEnd) => void,
): void {
  const lines = makeLines(LINE_MAX_BYTES);
  const { connection, onBytes } = options;
  let isOver = false;
  const lost = (why: string, isExpected = false): void => {
    isOver = true;
    end({ type: "lost", isExpected, fault: unreachedFault(connection.name, askedOf(options), why) });
  };
  options.onUp();
  response.on("data", (chunk: Buffer) => {
    if (isOver) return;
    onBytes();
    const whole = lines.push(chunk);
    if (whole === undefined) {
      lost(`a line is longer than ${LINE_MAX_BYTES} bytes`);
      return;
    }
    for (const line of whole) {
      if (line === "") continue;
      const trouble = readEvent(parseJson(line), options);
      if (trouble === undefined) continue;
      lost(trouble.why, trouble.isExpected);
      return;
    }
  });
  response.on("end", () => {
    const fault = unreachedFault(connection.name, askedOf(options), "the stream was cut within a line");
    end(lines.pendingByteCount === 0 ? { type: "over" } : { type: "failed", fault });
  });
}

interface Trouble {
  readonly why: string;
  /** Servers forget; that is no failure. */
  readonly isExpected: boolean;
}

/** https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes */
function readEvent(event: unknown, options: StreamOptions): Trouble | undefined {
  const nonsense: Trouble = { why: "an event makes no sense", isExpected: false };
  const backwards: Trouble = { why: "an event is older than one before it", isExpected: false };
  if (!isRecord(event)) return nonsense;
  const { type, object } = event;
  if (type === "ERROR") {
    const status = readStatus(0, object, JSON.stringify(object));
    const isExpected = isRecord(object) && object["code"] === 410;
    return { why: status.message, isExpected };
  }
  if (type === "BOOKMARK") {
    const meta = isRecord(object) ? object["metadata"] : undefined;
    const version = isRecord(meta) ? meta["resourceVersion"] : undefined;
    if (typeof version !== "string" || version === "") return nonsense;
    return options.onBookmark(version) ? undefined : backwards;
  }
  if (type !== "ADDED" && type !== "MODIFIED" && type !== "DELETED") return nonsense;
  const taken = takeObject(object, options.kind);
  if (taken === undefined) return nonsense;
  return options.onEvent({ type, object: taken }) ? undefined : backwards;
}

/** What comes instead of a stream: short, or else cut. */
async function readRefusal(response: IncomingMessage, options: StreamOptions): Promise<StreamEnd> {
  let text = "";
  const stream: AsyncIterable<Buffer> = response;
  for await (const chunk of stream) {
    text += chunk.toString("utf8");
    if (text.length > 65_536) break;
  }
  const code = response.statusCode ?? 0;
  const fault = faultOf(options.connection.name, askedOf(options), readStatus(code, parseJson(text), text));
  return code === 410 ? { type: "lost", isExpected: true, fault } : { type: "failed", fault };
}
