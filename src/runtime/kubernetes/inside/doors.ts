/**
 * Keeps a way into each environment that is used open: the toolbox's `door`, already started, which waits for the text of
 * an sshd_config. An exec takes 50 ms and more, which a person would wait for at every connect.
 *
 * One door waits at a time; connections that come at once open their own. Each open one costs the API server and the kubelet a
 * stream, so an environment that nobody connects to for a while has none, and the first to come back waits for it.
 *
 * @module
 */
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import { unlessAborted } from "../../../base/unless-aborted.ts";
import type { Exec } from "../api/cluster-api.ts";

/** The pod that a door leads into. */
export interface DoorPod {
  readonly namespace: string;
  readonly name: string;
  readonly container: string;
  /** Pods of one name are told apart by it. */
  readonly uid: string;
  readonly ip?: string | undefined;
}

export interface Doors {
  /** Opens one ahead of the next connection, unless one waits. */
  prepare(id: string, pod: DoorPod): void;
  /** Hands over the one that waits, or a new one. @throws {Fault} `cluster.*` when it cannot be opened */
  take(id: string, pod: DoorPod, signal: AbortSignal): Promise<Exec>;
  /** Closes the one that waits, and opens no other by itself. */
  close(id: string): void;
  closeAll(): void;
}

export interface DoorsOptions {
  /** Starts the program that waits for its first line. */
  readonly open: (pod: DoorPod, signal: AbortSignal) => Promise<Exec>;
  readonly clock: Clock;
  readonly log: Log;
  /** How long one is kept without any use; `null` as long as its environment. @default 10 minutes */
  readonly idleMs?: number | null;
}

/** How long after a connection the next door is opened: not while that connection needs the processor. Guess. */
const REOPEN_MS = 300;

/** How long a door is kept without any use. Guess. */
const IDLE_MS = 10 * 60_000;

/** The longest wait before one that died, or could not be opened, is opened again. Guess. */
const RETRY_MAX_MS = 60_000;

/** What is kept of one environment. */
interface Entry {
  readonly pod: DoorPod;
  /** Ends what is being opened, and every wait. */
  readonly stop: AbortController;
  waiting: Promise<Exec> | undefined;
  usedAt: number;
  failureCount: number;
  cancelNext: () => void;
}

/** Makes the keeper of doors of one cluster. */
export function makeDoors(options: DoorsOptions): Doors {
  const { open, clock, log, idleMs = IDLE_MS } = options;
  const entries = new Map<string, Entry>();
  const close = (id: string) => {
    const entry = entries.get(id);
    if (entry === undefined) return;
    entries.delete(id);
    entry.stop.abort();
    entry.cancelNext();
    discard(entry.waiting);
  };
  /** Opens one, and another when that one died unused. */
  const keepOne = (id: string, entry: Entry) => {
    if (entry.waiting !== undefined || entries.get(id) !== entry) return;
    const waiting = open(entry.pod, entry.stop.signal);
    entry.waiting = waiting;
    const again = (why: unknown) => {
      if (entry.waiting !== waiting || entries.get(id) !== entry) return;
      entry.waiting = undefined;
      const waitMs = Math.min(REOPEN_MS * 2 ** entry.failureCount, RETRY_MAX_MS);
      entry.failureCount += 1;
      log.debug("kubernetes.door-lost", { environment: id, why, waitMs });
      entry.cancelNext();
      // Without any use it is not worth another.
      if (idleMs !== null && clock.elapsed() - entry.usedAt + waitMs >= idleMs) close(id);
      else entry.cancelNext = clock.after(waitMs, () => keepOne(id, entry));
    };
    waiting.then(({ stream, ended }) => {
      stream.on("error", () => {}); // `ended` says it too
      void ended.then(again);
    }, again);
    if (idleMs === null) return;
    entry.cancelNext = clock.after(Math.max(0, entry.usedAt + idleMs - clock.elapsed()), () => close(id));
  };
  /** The entry for this very pod, used now. */
  const use = (id: string, pod: DoorPod): Entry => {
    const known = entries.get(id);
    if (known?.pod.uid === pod.uid) {
      known.usedAt = clock.elapsed();
      known.failureCount = 0;
      return known;
    }
    close(id);
    const made = makeEntry(pod, clock.elapsed());
    entries.set(id, made);
    return made;
  };
  const take = async (id: string, pod: DoorPod, signal: AbortSignal) => {
    const entry = use(id, pod);
    const ready = entry.waiting;
    entry.waiting = undefined;
    entry.cancelNext();
    entry.cancelNext = clock.after(REOPEN_MS, () => keepOne(id, entry));
    return takeReady(ready, () => open(pod, signal), signal);
  };
  const closeAll = () => [...entries.keys()].forEach(close);
  return { prepare: (id, pod) => keepOne(id, use(id, pod)), take, close, closeAll };
}

function makeEntry(pod: DoorPod, now: number): Entry {
  const stop = new AbortController();
  return { pod, stop, waiting: undefined, usedAt: now, failureCount: 0, cancelNext: () => {} };
}

/** Waits for one that is being opened; one that could not be is no reason not to try once more. */
async function takeReady(
  ready: Promise<Exec> | undefined,
  open: () => Promise<Exec>,
  signal: AbortSignal,
): Promise<Exec> {
  if (ready !== undefined) {
    try {
      const door = await unlessAborted(ready, signal);
      if (!door.stream.destroyed && !door.stream.readableEnded) return door;
    } catch {
      if (signal.aborted) discard(ready);
      signal.throwIfAborted();
    }
  }
  return open();
}

function discard(door: Promise<Exec> | undefined): void {
  door?.then(
    ({ stream }) => stream.destroy(),
    () => {},
  );
}
