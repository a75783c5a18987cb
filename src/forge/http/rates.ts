/**
 * What the headers of an answer say of rationing, for each way in which forges say it.
 *
 * @module
 */
import type { Rate } from "./rationing.ts";

/** GitHub: rest "Rate limits for the REST API", primary. Other resources than `core` are budgets of their own. */
export function readGithubRate(headers: Headers): Rate | undefined {
  const resource = headers.get("x-ratelimit-resource") ?? "core";
  return resource === "core" ? readRate(headers, "x-ratelimit-") : undefined;
}

/** GitLab: "Rate limits", response headers. They are there for what is rationed only. */
export function readGitlabRate(headers: Headers): Rate | undefined {
  return readRate(headers, "ratelimit-");
}

/** `retry-after` in either of its forms (RFC 9110 section 10.2.3), in milliseconds from now. */
export function readRetryAfter(headers: Headers, now: number): number | undefined {
  const text = headers.get("retry-after");
  if (text === null) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(text)) return Number(text) * 1_000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - (dateOf(headers) ?? now));
}

function readRate(headers: Headers, prefix: string): Rate | undefined {
  const limit = readCount(headers.get(`${prefix}limit`));
  const remaining = readCount(headers.get(`${prefix}remaining`));
  const resetSeconds = readCount(headers.get(`${prefix}reset`));
  if (limit === undefined || remaining === undefined || resetSeconds === undefined) return undefined;
  // By the forge's own clock, so that a difference to ours changes nothing.
  const date = dateOf(headers);
  return date === undefined ? undefined : { limit, remaining, resetMs: Math.max(0, resetSeconds * 1_000 - date) };
}

function dateOf(headers: Headers): number | undefined {
  const at = Date.parse(headers.get("date") ?? "");
  return Number.isNaN(at) ? undefined : at;
}

function readCount(text: string | null): number | undefined {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
