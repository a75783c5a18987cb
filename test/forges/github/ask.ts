/**
 * Asks a GitHub for tests over HTTP, for the tests of its own.
 *
 * @module
 */
import { createSign } from "node:crypto";
import { expect } from "vitest";
import { parseJson, valueAt } from "../lib/json.ts";
import type { Github } from "./github.ts";

export interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly value: unknown;
}

/** @param path below the API's root, or a whole address */
export async function ask(github: Github, path: string, token?: string, more: RequestInit = {}): Promise<Asked> {
  const headers = new Headers(more.headers);
  headers.set("user-agent", "slipway-test");
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  const url = path.startsWith("http") ? path : github.apiUrl + path;
  const response = await fetch(url, { redirect: "manual", ...more, headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, value: parseJson(text) };
}

/** What the App signs to be believed; `claims` over the usual ones. */
export function assertion(github: Github, claims: Readonly<Record<string, unknown>> = {}): string {
  const now = Math.floor(github.world.now() / 1_000);
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const payload = { iat: now - 60, exp: now + 540, iss: String(github.app.id), ...claims };
  const text = `${encode({ alg: "RS256", typ: "JWT" })}.${encode(payload)}`;
  return `${text}.${createSign("RSA-SHA256").update(text).sign(github.app.privateKey, "base64url")}`;
}

export async function installationToken(github: Github, body?: unknown): Promise<string> {
  const path = `/app/installations/${github.installation.id}/access_tokens`;
  const more = { method: "POST", ...(body !== undefined && { body: JSON.stringify(body) }) };
  const answer = await ask(github, path, assertion(github), more);
  expect(answer.status).toBe(201);
  return String(valueAt(answer.value, "token"));
}
