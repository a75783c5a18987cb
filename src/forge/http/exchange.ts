/**
 * One request and its whole answer, within a time and a size. Used by `forge-http.ts`, which alone knows what a status
 * means and whether to ask again.
 *
 * Redirections are handed back, not followed: a credential goes to the one origin it is for.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";

export interface Request {
  readonly method: "GET" | "POST" | "DELETE";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  /** Decoded; empty where there is none. */
  readonly text: string;
  readonly byteCount: number;
}

export interface ExchangeLimits {
  /** From sending until the last byte. @default 10_000 (a login waits for 2 s, all else for longer) */
  readonly requestTimeoutMs: number;
  /** Of one answer, decompressed. @default 16 MiB: a page of 100 of GitHub's largest entries is below 1 MiB */
  readonly bodyMaxBytes: number;
}

/** Why there is no whole answer. */
export interface NoReply {
  /** Only `network` says that asking again might help at once. */
  readonly none: "network" | "time" | "size" | "aborted" | "encoding";
  /** The rest of a sentence that begins with the request. */
  readonly why: string;
  readonly cause?: unknown;
}

export interface ExchangeOptions {
  readonly limits: ExchangeLimits;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Sends a request and reads its answer to the end. Never rejects. */
export async function exchange(request: Request, options: ExchangeOptions): Promise<Reply | NoReply> {
  const { limits, clock, signal } = options;
  // A controller of its own for each request: nothing stays behind on a signal that lives for long.
  const ending = new AbortController();
  let ended: NoReply | undefined;
  const end = (reason: NoReply): void => {
    ended ??= reason;
    ending.abort();
  };
  const abort = (): void => {
    end({ none: "aborted", why: "the asker stopped waiting", cause: signal.reason });
  };
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  const cancel = clock.after(limits.requestTimeoutMs, () => {
    end({ none: "time", why: `there was no whole answer within ${limits.requestTimeoutMs} ms` });
  });
  try {
    return await send(request, limits.bodyMaxBytes, ending.signal);
  } catch (error) {
    return ended ?? explain(error);
  } finally {
    cancel();
    signal.removeEventListener("abort", abort);
    ending.abort(); // lets go of the connection of an answer that was not read to its end
  }
}

async function send(
  { method, url, headers, body }: Request,
  bodyMaxBytes: number,
  signal: AbortSignal,
): Promise<Reply | NoReply> {
  const content = body === undefined ? {} : { body };
  const response = await fetch(url, { method, headers, ...content, redirect: "manual", signal });
  const chunks: Uint8Array[] = [];
  let byteCount = 0;
  const stream: AsyncIterable<Uint8Array> | null = response.body;
  for await (const chunk of stream ?? []) {
    byteCount += chunk.byteLength;
    if (byteCount > bodyMaxBytes) return { none: "size", why: `the answer is longer than ${bodyMaxBytes} bytes` };
    chunks.push(chunk);
  }
  const text = decode(Buffer.concat(chunks));
  if (text === undefined) return { none: "encoding", why: "the answer is not UTF-8" };
  return { status: response.status, headers: response.headers, text, byteCount };
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** fetch() says only "fetch failed" or "terminated"; what happened is its cause. */
function explain(error: unknown): NoReply {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = inner instanceof Error && "code" in inner && typeof inner.code === "string" ? inner.code : undefined;
  const message = inner instanceof Error && inner.message !== "" ? inner.message : "the connection failed";
  const isTold = code === undefined || message.includes(code);
  return { none: "network", why: isTold ? message : `${message} (${code})`, cause: error };
}
