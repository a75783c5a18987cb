/**
 * Waiting that takes no processor time from what is measured, as looking every 20 ms would.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";

const EVERY_MS = 500;

/** Looks twice a second until it is so. @throws {Error} when `signal` aborts or `waitMs` have passed */
export async function untilSo(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  { waitMs, signal }: { readonly waitMs: number; readonly signal?: AbortSignal },
): Promise<void> {
  const deadline = performance.now() + waitMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`Cannot wait longer than ${waitMs / 1e3} s for ${what}`);
    await sleep(EVERY_MS, undefined, signal === undefined ? {} : { signal });
  }
}
