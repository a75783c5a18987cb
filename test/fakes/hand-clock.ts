/**
 * A clock that stands still until a test moves it. The one way tests wait: no global timer is ever replaced.
 *
 * @module
 */
import { setImmediate } from "node:timers/promises";

import type { Clock } from "../../src/base/clock.ts";

interface Alarm {
  readonly atMs: number;
  readonly ring: () => void;
}

/** Starts at `startAt` (epoch ms) and moves by `advance()` alone. */
export class HandClock implements Clock {
  #startAt: number;
  #elapsedMs = 0;
  /** In the order they were set, which is the order they ring in when due at the same time. */
  readonly #alarms = new Set<Alarm>();

  constructor(startAt = 0) {
    this.#startAt = startAt;
  }

  now(): number {
    return this.#startAt + this.#elapsedMs;
  }

  elapsed(): number {
    return this.#elapsedMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        cancel();
        reject(new DOMException("The operation was aborted", "AbortError"));
      };
      const cancel = this.after(ms, () => {
        signal?.removeEventListener("abort", abort);
        resolve();
      });
      if (signal?.aborted === true) abort();
      else signal?.addEventListener("abort", abort, { once: true });
    });
  }

  after(ms: number, then: () => void): () => void {
    const alarm = { atMs: this.#elapsedMs + Math.max(0, ms), ring: then };
    this.#alarms.add(alarm);
    return () => {
      this.#alarms.delete(alarm);
    };
  }

  /** How many sleeps and alarms have neither rung nor been called off: 0 when nothing leaks. */
  get pendingCount(): number {
    return this.#alarms.size;
  }

  /**
   * Moves time on by `ms`, stopping at each alarm on the way, those that others set included. Before, between and after,
   * every promise that can settle without more time does.
   */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#elapsedMs + ms;
    for (;;) {
      await setImmediate();
      const next = this.#firstBy(untilMs);
      if (next === undefined) break;
      this.#alarms.delete(next);
      this.#elapsedMs = next.atMs;
      next.ring();
    }
    this.#elapsedMs = untilMs;
  }

  /** Sets `now()` back, as an operator does with a clock that was wrong. No time passes. */
  setBack(ms: number): void {
    this.#startAt -= ms;
  }

  #firstBy(untilMs: number): Alarm | undefined {
    let first: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.atMs <= untilMs && (first === undefined || alarm.atMs < first.atMs)) first = alarm;
    }
    return first;
  }
}
