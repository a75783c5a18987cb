/**
 * What the status and headers of an answer mean, the same for all forges. Pure.
 *
 * @module
 */
import type { Reply } from "./exchange.ts";
import { readRetryAfter } from "./rates.ts";
import type { Rate } from "./rationing.ts";

export type Verdict =
  /** 200, 201, 204, 304, a redirection, or absent. */
  | { readonly type: "answer" }
  /** Told to come again later; nothing was done. `pauseMs` is for every request, 0 where the budget says it all. */
  | { readonly type: "limited"; readonly pauseMs: number }
  | { readonly type: "unauthorized"; readonly pauseMs: 0 }
  | { readonly type: "refused"; readonly pauseMs: 0 }
  /** `isPassing`: asking again soon might help. */
  | { readonly type: "failed"; readonly isPassing: boolean; readonly pauseMs: number };

const ANSWERS: ReadonlySet<number> = new Set([200, 201, 204, 301, 302, 304, 307, 308]);
/** 451: taken down for legal reasons, as GitHub does with repositories. */
const ABSENT: ReadonlySet<number> = new Set([404, 410, 451]);
const PASSING: ReadonlySet<number> = new Set([502, 503, 504]);

/** Says whether a status is the forge's word that there is no such thing, or that we are shown none. */
export function isAbsent(status: number): boolean {
  return ABSENT.has(status);
}

/** A limit that says no time: GitHub asks to wait for a minute at least ("Rate limits for the REST API"). */
const LIMITED_MS = 60_000;

/** @param now epoch ms */
export function verdictOf(reply: Reply, rate: Rate | undefined, now: number): Verdict {
  const { status, headers } = reply;
  if (ANSWERS.has(status) || isAbsent(status)) return { type: "answer" };
  const retryAfterMs = readRetryAfter(headers, now);
  if (isLimited(reply, rate, retryAfterMs)) {
    return { type: "limited", pauseMs: retryAfterMs ?? (rate?.remaining === 0 ? 0 : LIMITED_MS) };
  }
  if (status === 401) return { type: "unauthorized", pauseMs: 0 };
  if (status === 403) return { type: "refused", pauseMs: 0 };
  return { type: "failed", isPassing: PASSING.has(status), pauseMs: status === 503 ? (retryAfterMs ?? 0) : 0 };
}

/** GitHub limits with 403 or 429, and a secondary limit may come with nothing but its sentence. */
function isLimited({ status, text }: Reply, rate: Rate | undefined, retryAfterMs: number | undefined): boolean {
  if (status === 429) return true;
  if (status !== 403) return false;
  return retryAfterMs !== undefined || rate?.remaining === 0 || /secondary rate limit|abuse detection/i.test(text);
}

/** Words an answer that is none: status, the forge's own sentence without our secrets, its id of the request. */
export function wordReply({ status, headers, text }: Reply, secrets: readonly string[]): string {
  const id = headers.get("x-github-request-id") ?? headers.get("x-request-id");
  const said = saidIn(text, secrets);
  const parts = [`status ${status}`, ...(said === undefined ? [] : [`"${said}"`])];
  return `${parts.join(", ")}${id === null ? "" : ` (request ${printable(id)})`}`;
}

/** What an error says: its `message`, as all three forges call it, or the scope that is missing. */
function saidIn(text: string, secrets: readonly string[]): string | undefined {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return undefined; // a page of a proxy says nothing that belongs into one line
  }
  if (typeof body !== "object" || body === null) return undefined;
  const said = "message" in body ? body.message : scopeWantedIn(body);
  return typeof said === "string" ? printable(withoutSecrets(said, secrets)) : undefined;
}

/** GitLab says what a token lacks as OAuth does, without a `message`: RFC 6750 section 3.1. */
function scopeWantedIn(body: object): string | undefined {
  if (!("error" in body) || body.error !== "insufficient_scope" || !("scope" in body)) return undefined;
  return typeof body.scope === "string" ? `the token needs one of the scopes ${body.scope}` : undefined;
}

/** No forge should repeat a credential; if one does, it goes no further. `Bearer x` hides `x` too. */
function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets
    .flatMap((secret) => [secret, ...secret.split(" ")])
    .filter((secret) => secret.length >= 8)
    .reduce((clean, secret) => clean.replaceAll(secret, "***"), text);
}

function printable(text: string): string {
  return text.replace(/[^ -~]/g, "?").slice(0, 200);
}
