/**
 * Requests whose whole answer is waited for: rate limited, sent again where that is safe, and their failures made faults.
 *
 * @module
 */
import { unlessAborted } from "../../../base/unless-aborted.ts";
import type { Connection, Query } from "./connection.ts";
import { exchange, type ExchangeLimits, type HttpAnswer, makeAgents, NoAnswer } from "./exchange.ts";
import { type Asked, faultOf, readStatus, unreachedFault } from "./server-status.ts";

export interface Ask extends Asked {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** @default application/json */
  readonly contentType?: string;
  /** Whether it may be sent again when nobody knows whether it was done. */
  readonly isRepeatable: boolean;
  /** Statuses from 400 on that are answers and no faults. */
  readonly expected?: readonly number[];
}

export interface Answer {
  readonly status: number;
  /** Parsed JSON; `undefined` where an expected refusal was none. */
  readonly body: unknown;
  /** By the server's own clock, epoch ms. */
  readonly sentAt?: number;
}

export interface Requests {
  /**
   * Sends a request, up to four times.
   *
   * @throws {Fault} `cluster.unreached`, `cluster.refused` or `cluster.forbidden`
   */
  send(ask: Ask, signal: AbortSignal): Promise<Answer>;
  close(): void;
}

/** What is read, and what is changed: webhooks may take 30 s of the 60 s that the server allows itself. */
const LIMITS: ExchangeLimits & { readonly readHeadMs: number } = {
  connectMs: 10_000,
  headMs: 40_000,
  readHeadMs: 15_000,
  wholeMs: 60_000,
  bodyMaxBytes: 64 * 2 ** 20,
};

const TRIES = 4;
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 20_000;

/** Connections beside those of watches and programs; more requests at once wait for one. */
const MAX_SOCKETS = 12;

/** Opens the way for requests; connects only when there are some. */
export function openRequests(connection: Connection): Requests {
  const agents = makeAgents({ maxSockets: MAX_SOCKETS, keepAlive: true });

  const sendOnce = async (ask: Ask, signal: AbortSignal): Promise<HttpAnswer> => {
    const credentials = await connection.credentials(signal);
    await connection.turn(`${ask.verb} ${ask.resource}`, signal);
    const body = ask.body === undefined ? {} : { body: JSON.stringify(ask.body) };
    const headers = ask.body === undefined ? {} : { "content-type": ask.contentType ?? "application/json" };
    const url = connection.urlOf(ask.path, ask.query);
    const answer = await exchange(
      { method: ask.method, url, credentials, headers, ...body },
      {
        agent: agents.of(credentials.tls),
        clock: connection.clock,
        limits: ask.method === "GET" ? { ...LIMITS, headMs: LIMITS.readHeadMs } : LIMITS,
      },
      signal,
    );
    if (answer.status === 401) connection.refuse(credentials);
    return answer;
  };

  const send = async (ask: Ask, signal: AbortSignal): Promise<Answer> => {
    const either = AbortSignal.any([signal, connection.closing]);
    for (let tryCount = 1; ; tryCount += 1) {
      const got = await attempt(() => sendOnce(ask, either), either);
      const waitMs = tryCount < TRIES ? waitBefore(ask, got, tryCount) : undefined;
      if (waitMs === undefined) return conclude(connection.name, ask, got);
      connection.log.debug("cluster.request.again", {
        cluster: connection.name,
        verb: ask.verb,
        waitMs,
        why: whyOf(got),
      });
      await attempt(() => unlessAborted(connection.clock.sleep(waitMs, either), either), either);
    }
  };
  return { send, close: () => agents.close() };
}

/** Whether the asker stopped waiting shows in the same way wherever it waits. */
async function attempt<T>(act: () => Promise<T>, signal: AbortSignal): Promise<T | NoAnswer> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof NoAnswer) return error;
    if (!signal.aborted) throw error;
    return new NoAnswer("the asker stopped waiting", { mayBeDone: false, mayPass: false, cause: signal.reason });
  }
}

/** Says after how many milliseconds to send again, `undefined` when not to. */
function waitBefore(ask: Ask, got: HttpAnswer | NoAnswer, tryCount: number): number | undefined {
  const grownMs = FIRST_WAIT_MS * 2 ** (tryCount - 1) * (0.5 + Math.random());
  if (got instanceof NoAnswer) {
    return got.mayPass && (ask.isRepeatable || !got.mayBeDone) ? grownMs : undefined;
  }
  const { status, retryAfterMs = 0 } = got;
  const afterMs = Math.min(Math.max(grownMs, retryAfterMs), LONGEST_WAIT_MS);
  if (ask.expected?.includes(status) === true) return undefined;
  // Whoever is told to come later, or is not believed, was not served: https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
  if (status === 429) return afterMs;
  if (status === 401) return tryCount === 1 ? 0 : undefined;
  // 409 to a patch: others changed the object more often than the server cared to try again.
  const isPassing = status >= 500 || (status === 409 && ask.method === "PATCH");
  return isPassing && ask.isRepeatable ? afterMs : undefined;
}

function conclude(cluster: string, ask: Ask, got: HttpAnswer | NoAnswer): Answer {
  if (got instanceof NoAnswer) throw unreachedFault(cluster, ask, got.message, got);
  const body = parseJson(got.text);
  const isGood = got.status < 300 || ask.expected?.includes(got.status) === true;
  if (!isGood) throw faultOf(cluster, ask, readStatus(got.status, body, got.text));
  // What is not there at all is told by a page that is no JSON.
  if (body === undefined && got.status < 300) throw unreachedFault(cluster, ask, "the answer is not whole JSON");
  return { status: got.status, body, ...(got.sentAt === undefined ? {} : { sentAt: got.sentAt }) };
}

function whyOf(got: HttpAnswer | NoAnswer): string {
  return got instanceof NoAnswer ? got.message : `HTTP status ${got.status}`;
}

/** `undefined` for what is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
