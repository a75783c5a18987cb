/**
 * Work that several callers wait for: done once, told to all of them, and not ended by one that leaves.
 *
 * Used for bringing an environment up, which every connection to it needs and none should do twice.
 *
 * @module
 */
import { unlessAborted } from "../base/unless-aborted.ts";

/** Takes a line about how far the work is. */
export type Report = (line: string) => void;

export interface SharedWork<T> {
  /** The result, for whoever needs no lines. */
  readonly done: Promise<T>;
  /**
   * Waits for the result, having told `report` what was said so far and telling it what is said from now on. `signal` ends
   * this waiting, not the work. Rejects with what the work throws.
   */
  join(report: Report, signal: AbortSignal): Promise<T>;
}

/** Starts work at once. It goes on with no caller left. */
export function shareWork<T>(work: (report: Report) => Promise<T>): SharedWork<T> {
  const said: string[] = [];
  const listeners = new Set<Report>();
  const done = work((line) => {
    said.push(line);
    for (const listener of listeners) listener(line);
  });
  done.catch(() => undefined); // told to whoever joined; with nobody left it is in the log
  return {
    done,
    join: async (report, signal) => {
      signal.throwIfAborted();
      for (const line of said) report(line);
      // A function of its own, so that one report handed in twice is told twice.
      const listener: Report = (line) => report(line);
      listeners.add(listener);
      try {
        return await unlessAborted(done, signal);
      } finally {
        listeners.delete(listener);
      }
    },
  };
}
