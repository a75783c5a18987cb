/**
 * What this process holds in memory of each environment: what is being done to it, who is connected, who wants to know
 * when it goes. Everything that has to outlive the process is in its record.
 *
 * @module
 */
import type { Live } from "./bring-up.ts";
import type { SharedWork } from "./shared-work.ts";

export interface Entry {
  readonly id: string;
  /** Set while it takes sessions. */
  live: Live | undefined;
  /** Set while it is brought up. */
  opening: SharedWork<Live> | undefined;
  /** Set while what runs inside may call us. */
  calls: { close(): Promise<void> } | undefined;
  /** Ends what was begun for it: its bringing up, and commands in the background. Another one after that. */
  stop: AbortController;
  /** Set while nobody else may begin anything with it: it is being removed, or looked at. Never rejects. */
  exclusive: Promise<void> | undefined;
  /** Set while it is made ready on another cluster, with people in it here. */
  isMoving: boolean;
  /** Set while what a move left of it elsewhere is being destroyed. Never rejects. */
  clearing: Promise<void> | undefined;
  /** Ids of the sessions that are connected. */
  readonly sessions: Set<string>;
  readonly goneListeners: Set<(reason: string) => void>;
  /** As last observed. */
  diskBytes: number | undefined;
}

export interface Entries {
  /** Finds what is held of an environment, making it empty when there is nothing. */
  of(id: string): Entry;
  peek(id: string): Entry | undefined;
  all(): readonly Entry[];
  /** Forgets an environment that is no more. */
  forget(id: string): void;
}

/** Makes an empty memory. */
export function makeEntries(): Entries {
  const entries = new Map<string, Entry>();
  return {
    of: (id) => {
      const known = entries.get(id);
      if (known !== undefined) return known;
      const entry: Entry = {
        id,
        live: undefined,
        opening: undefined,
        calls: undefined,
        stop: new AbortController(),
        exclusive: undefined,
        isMoving: false,
        clearing: undefined,
        sessions: new Set(),
        goneListeners: new Set(),
        diskBytes: undefined,
      };
      entries.set(id, entry);
      return entry;
    },
    peek: (id) => entries.get(id),
    all: () => [...entries.values()],
    forget: (id) => {
      entries.delete(id);
    },
  };
}

/**
 * Does something with an environment while nobody else begins anything with it, after whoever does so now.
 *
 * @throws what `work` throws
 */
export async function alone<T>(entry: Entry, work: () => Promise<T>): Promise<T> {
  while (entry.exclusive !== undefined) await entry.exclusive;
  const working = work();
  entry.exclusive = working.then(
    () => undefined,
    () => undefined, // told to our caller
  );
  try {
    return await working;
  } finally {
    entry.exclusive = undefined;
  }
}

/** Stops whatever is being done for an environment, and resolves when it has stopped. Called `alone`, or nothing may begin. */
export async function halt(entry: Entry, reason: Error): Promise<void> {
  entry.stop.abort(reason);
  const opened = await entry.opening?.done.catch(() => undefined);
  await (opened ?? entry.live)?.settled;
  await endCalls(entry);
  entry.live = undefined;
  entry.stop = new AbortController();
}

/** Hangs up on whoever calls from inside an environment, and takes no more calls. */
export async function endCalls(entry: Entry): Promise<void> {
  const { calls } = entry;
  entry.calls = undefined;
  await calls?.close();
}
