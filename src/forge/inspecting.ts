/**
 * What the inspections of credentials have in common: trying something, and saying how it went.
 *
 * Called by the clients' `inspect.ts`.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import type { Finding } from "./forge-client.ts";
import type { HttpAnswer } from "./http/forge-http.ts";

/** How a try went. */
export type Tried<Value> =
  | { readonly type: "ok"; readonly value: Value }
  | { readonly type: "absent" }
  | { readonly type: "refused"; readonly why: string };

/** Waits for an answer; a refusal is one too here. */
export async function tryTo<Value>(answer: Promise<HttpAnswer<Value>>): Promise<Tried<Value>> {
  try {
    const answered = await answer;
    return answered.status === "ok" ? { type: "ok", value: answered.value } : { type: "absent" };
  } catch (error) {
    if (error instanceof Fault && error.code === "forge.refused") return { type: "refused", why: error.message };
    throw error;
  }
}

/** @param text one sentence without full stop, as all findings */
export function good(text: string): Finding {
  return { isGood: true, text };
}

/** @param text with the exact name of what is missing */
export function bad(text: string): Finding {
  return { isGood: false, text };
}
