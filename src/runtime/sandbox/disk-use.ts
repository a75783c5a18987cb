/**
 * Watches how much disk each environment takes. Counting walks all its files, so it is done in the background, at most
 * once a minute for each, when somebody asks.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { runProgram } from "../program.ts";

/** How old a figure may be before it is counted again; guess. */
const STALE_MS = 60_000;

/** Counting that takes longer is given up: a figure is not worth more. */
const LONGEST_MS = 20_000;

export interface DiskUse {
  /** The last figure in bytes, `undefined` until the first is there; counts anew beside it when it is old. */
  read(id: string, folder: string): number | undefined;
  forget(id: string): void;
}

/** Makes the watch. */
export function makeDiskUse(clock: Clock): DiskUse {
  const figures = new Map<string, { bytes?: number; askedAt: number }>();
  const count = async (id: string, folder: string): Promise<void> => {
    const stop = new AbortController();
    const cancel = clock.after(LONGEST_MS, () => stop.abort());
    try {
      const { stdout } = await runProgram(["du", "-s", "-x", "--block-size=1", "--", folder], {}, stop.signal);
      const [, bytes] = /^([0-9]+)\t/.exec(stdout) ?? [];
      const figure = figures.get(id);
      if (bytes !== undefined && figure !== undefined) figures.set(id, { ...figure, bytes: Number(bytes) });
    } catch {
      // Given up: the old figure stays.
    } finally {
      cancel();
    }
  };
  return {
    read: (id, folder) => {
      const figure = figures.get(id);
      if (figure === undefined || clock.elapsed() - figure.askedAt > STALE_MS) {
        figures.set(id, { ...figure, askedAt: clock.elapsed() });
        void count(id, folder);
      }
      return figure?.bytes;
    },
    forget: (id) => void figures.delete(id),
  };
}
