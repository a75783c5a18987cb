/**
 * Whose turn it is to send a request: a bucket of tokens that fills at a steady rate. First come, first served.
 *
 * @module
 */
import type { Clock } from "../../../base/clock.ts";
import { unlessAborted } from "../../../base/unless-aborted.ts";

export interface Turns {
  /** Resolves when one more request may be sent; one that gave up waiting uses up no turn. */
  next(signal: AbortSignal): Promise<void>;
}

/** Makes a full bucket. */
export function makeTurns(rate: { readonly perSecond: number; readonly burst: number }, clock: Clock): Turns {
  const waiting = new Set<() => void>();
  let tokenCount = rate.burst;
  let filledAtMs = clock.elapsed();
  let isFilling = false;

  const fill = (): void => {
    const nowMs = clock.elapsed();
    tokenCount = Math.min(rate.burst, tokenCount + ((nowMs - filledAtMs) / 1_000) * rate.perSecond);
    filledAtMs = nowMs;
  };
  const serve = (): void => {
    fill();
    for (const go of waiting) {
      if (tokenCount < 1) break;
      tokenCount -= 1;
      waiting.delete(go);
      go();
    }
    if (waiting.size === 0 || isFilling) return;
    isFilling = true;
    clock.after(Math.max(1, Math.ceil(((1 - tokenCount) / rate.perSecond) * 1_000)), () => {
      isFilling = false;
      serve();
    });
  };

  return {
    next: async (signal) => {
      signal.throwIfAborted();
      const turn = Promise.withResolvers<undefined>();
      const go = (): void => turn.resolve(undefined);
      waiting.add(go);
      serve();
      try {
        await unlessAborted(turn.promise, signal);
      } finally {
        waiting.delete(go);
      }
    },
  };
}
