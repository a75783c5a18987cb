/**
 * One HTTP request to an API server and its whole answer, within limits of time and size.
 *
 * `requests.ts` decides what is sent, and whether again; `watch-stream.ts` reads its answers as they come.
 *
 * @module
 */
import type { ClientRequest, IncomingMessage } from "node:http";
import { Agent, request as begin } from "node:https";
import type { Socket } from "node:net";
import type { URL } from "node:url";

import type { Clock } from "../../../base/clock.ts";
import type { Credentials, TlsOptions } from "./credentials.ts";

export interface ExchangeLimits {
  /** For a new connection, TLS included. */
  readonly connectMs: number;
  /** From then until the head of the answer. */
  readonly headMs: number;
  readonly wholeMs: number;
  readonly bodyMaxBytes: number;
}

export interface HttpAsk {
  readonly method: "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
  readonly url: URL;
  readonly credentials: Credentials;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpAnswer {
  readonly status: number;
  /** Of `Retry-After`, where it is a number. */
  readonly retryAfterMs?: number;
  /** When it was sent by the server's own clock, epoch ms: its header `Date`, to the second. */
  readonly sentAt?: number;
  readonly text: string;
}

/** There was no whole answer. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  /** Whether the server may have done what was asked. */
  readonly mayBeDone: boolean;
  /** Whether another try could end better: not where a certificate is wrong or the asker is gone. */
  readonly mayPass: boolean;

  constructor(message: string, options: { mayBeDone: boolean; mayPass: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.mayBeDone = options.mayBeDone;
    this.mayPass = options.mayPass;
  }
}

/**
 * How a peer that vanished is noticed while nothing is sent: the kernel asks after 10 s of silence, then thrice in 5 s
 * steps. (The kernel's own settings would take two hours.)
 */
const KEEP_ALIVE = { enable: true, initialDelay: 10_000, interval: 5_000, count: 4 } as const;

/** Connections are kept by their TLS options: what was proven with an old certificate is not used with a new one. */
export function makeAgents(options: { readonly maxSockets: number; readonly keepAlive: boolean }) {
  const { maxSockets, keepAlive } = options;
  let current: { readonly tls: TlsOptions; readonly agent: Agent } | undefined;
  // Closed before API servers close it (90 s), and before middle-boxes forget it.
  const make = (): Agent =>
    new Agent({ keepAlive, maxSockets, maxFreeSockets: 4, timeout: 30_000, keepAliveMsecs: 10_000 });
  return {
    of: (tls: TlsOptions): Agent => {
      if (current?.tls !== tls) current = { tls, agent: make() };
      return current.agent;
    },
    close: (): void => current?.agent.destroy(),
  };
}

/** Sends the head and body of a request; what comes of it is told by the events of what is returned. */
export function sendHttp({ method, url, credentials, headers, body }: HttpAsk, agent: Agent): ClientRequest {
  const content = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const sent = begin(url, {
    method,
    agent,
    headers: { accept: "application/json", ...credentials.headers, ...headers, ...content },
    ...credentials.tls,
  });
  sent.on("socket", (socket: Socket) => {
    if (socket.connecting) socket.once("connect", () => socket.setKeepAlive(KEEP_ALIVE));
  });
  sent.end(body);
  return sent;
}

/** Connections that are up. Node itself does not call one reused that goes to a request that waited for it. */
const up = new WeakSet<Socket>();

/** Calls back once the connection of a request that has a socket is up: at once where it was another's before. */
export function onceConnected(sent: ClientRequest, then: () => void): void {
  const { socket } = sent;
  if (socket === null || up.has(socket)) {
    then();
    return;
  }
  socket.once("secureConnect", () => {
    up.add(socket);
    then();
  });
}

/**
 * Sends a request and reads the answer to its end.
 *
 * @throws {NoAnswer} when there is none within the limits, or `signal` aborts
 */
export async function exchange(
  ask: HttpAsk,
  options: { readonly agent: Agent; readonly clock: Clock; readonly limits: ExchangeLimits },
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const { agent, clock, limits } = options;
  const ended = Promise.withResolvers<HttpAnswer>();
  let isSent = false;
  const sent = sendHttp(ask, agent);
  const fail = (why: string, mayPass: boolean, cause?: unknown): void => {
    ended.reject(new NoAnswer(why, { mayBeDone: isSent, mayPass, cause }));
    sent.destroy();
  };
  const limit = (ms: number, what: string) => clock.after(ms, () => fail(`there was no ${what} within ${ms} ms`, true));
  const cancels = [limit(limits.wholeMs, "whole answer")];
  // Counted from when the agent has a socket for it: a queue of our own making is not the server's fault.
  sent.once("socket", () => {
    const cancelConnect = limit(limits.connectMs, "connection");
    cancels.push(cancelConnect);
    onceConnected(sent, () => {
      isSent = true;
      cancelConnect();
      cancels.push(limit(limits.headMs, "answer"));
    });
  });
  const abort = (): void => fail("the asker stopped waiting", false, signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  sent.on("error", (error) => fail(explain(error), isPassing(error), error));
  sent.on("response", (response) => {
    cancels.at(-1)?.();
    readWhole(response, limits.bodyMaxBytes).then(ended.resolve, (error: unknown) => {
      if (error instanceof NoAnswer) fail(error.message, error.mayPass);
      else fail(explain(error), true, error);
    });
  });
  try {
    return await ended.promise;
  } finally {
    for (const cancel of cancels) cancel();
    signal.removeEventListener("abort", abort);
  }
}

async function readWhole(response: IncomingMessage, maxBytes: number): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let byteCount = 0;
  const stream: AsyncIterable<Buffer> = response;
  for await (const chunk of stream) {
    byteCount += chunk.length;
    if (byteCount > maxBytes) {
      throw new NoAnswer(`the answer is longer than ${maxBytes} bytes`, { mayBeDone: true, mayPass: false });
    }
    chunks.push(chunk);
  }
  const seconds = Number(response.headers["retry-after"] ?? Number.NaN);
  const sentAt = Date.parse(response.headers.date ?? "");
  return {
    status: response.statusCode ?? 0,
    text: Buffer.concat(chunks).toString("utf8"),
    ...(Number.isFinite(seconds) && seconds >= 0 && { retryAfterMs: seconds * 1_000 }),
    ...(Number.isFinite(sentAt) && { sentAt }),
  };
}

/** Says what broke a connection, the code included where the message lacks it. */
export function explain(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return explain(error.errors[0]);
  const code = codeOf(error);
  const message = error instanceof Error && error.message !== "" ? error.message : "the connection failed";
  return code === undefined || message.includes(code) ? message : `${message} (${code})`;
}

/** A certificate that is not believed will not be in a second either; Node.js names those errors so. */
function isPassing(error: unknown): boolean {
  return !/CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_OSSL|ERR_SSL_/.test(codeOf(error) ?? "");
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
