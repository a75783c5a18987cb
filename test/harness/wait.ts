/**
 * Waiting in tests that drive real programs: what is to come true is looked at again and again, never slept for.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";

const EVERY_MS = 20;

/** How `vi.waitUntil` and `vi.waitFor` look: beside other work a second, which they have by themselves, is soon over. */
export const SOON = { timeout: 10_000, interval: 5 };

/** Looks until it gets something other than `undefined` or `false`. @throws {Error} after `timeoutMs` */
export async function until<Value>(
  what: string,
  look: () => Value | Promise<Value>,
  timeoutMs = 10_000,
): Promise<Exclude<Value, undefined | false>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen as Exclude<Value, undefined | false>;
    if (performance.now() > deadline) throw new Error(`Cannot wait longer than ${timeoutMs} ms for ${what}`);
    await sleep(EVERY_MS);
  }
}
