/**
 * The objects of one kind, kept up to date: a list, then one stream of changes after another, for as long as anybody wants
 * it. What it knows is in `known-objects.ts`, one stream in `watch-stream.ts`.
 *
 * @module
 */
import { Fault } from "../../../base/fault.ts";
import { keep } from "../../../base/keep.ts";
import { unlessAborted } from "../../../base/unless-aborted.ts";
import type { ObjectKind } from "../../../wire/kubernetes.ts";
import type { ObjectWatch, WatchChange, Where } from "./cluster-api.ts";
import type { Connection } from "./connection.ts";
import type { makeAgents } from "./exchange.ts";
import { isBefore, type KnownObjects, makeKnownObjects } from "./known-objects.ts";
import { listAll, readVersion } from "./lists.ts";
import type { Requests } from "./requests.ts";
import { unreachedFault } from "./server-status.ts";
import { readStream } from "./watch-stream.ts";

export interface Watched {
  /** One more user of it. */
  open(): ObjectWatch;
}

export interface WatchedOptions {
  readonly connection: Connection;
  readonly requests: Requests;
  readonly agents: ReturnType<typeof makeAgents>;
  readonly kind: ObjectKind;
  readonly where: Where;
  /** Told when the last user closed it. */
  readonly onUnused: () => void;
}

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;

/** A stream that was up for this long before it broke is no failure of the one before. */
const STEADY_MS = 10_000;

/** After so long without a stream everything is listed anew: the server may have become another. */
const AWAY_MS = 60_000;

/** Servers that send bookmarks do so each minute, as k8s.io/apiserver's `defaultBookmarkFrequency` has it. */
const SILENCE_MS = 90_000;

/** Starts to list and watch at once. */
export function openWatched(options: WatchedOptions): Watched {
  const { connection, kind } = options;
  const { clock, log, name } = connection;
  const known = makeKnownObjects();
  const listeners = makeListeners(connection, kind);
  const ending = new AbortController();
  const synced = Promise.withResolvers<undefined>();
  const state: State = { isConnected: false, isLost: true, failureCount: 0, upAtMs: clock.elapsed() };

  const onFailure = (error: unknown, failureCount: number): void => {
    state.isConnected = false;
    state.failureCount = failureCount;
    state.failure = error;
    if (failureCount > 1 && failureCount % 10 !== 0) return;
    const why = error instanceof Error ? error.message : String(error);
    log.warn("cluster.watch.failed", { cluster: name, resource: kind.resource, failureCount, why });
  };
  const refresh = async (signal: AbortSignal): Promise<void> => {
    const page = await listAll(options, signal);
    listeners.tell(known.replace(page.objects, page.resourceVersion));
    state.isLost = false;
    synced.resolve(undefined);
  };
  const signal = AbortSignal.any([ending.signal, connection.closing]);
  const step = makeStep({ ...options, known, state, tell: listeners.tell, refresh, onFailure });
  const timing = { clock, firstWaitMs: FIRST_WAIT_MS, longestWaitMs: LONGEST_WAIT_MS, onFailure };
  void keep(step, timing, signal).finally(() => (state.isConnected = false));

  const onUnused = (): void => {
    ending.abort();
    options.onUnused();
  };
  const shared = { ...options, known, listeners, state, synced: synced.promise, onUnused, userCount: 0 };
  return { open: () => openUser(shared) };
}

interface Listeners {
  readonly tell: (changes: readonly WatchChange[]) => void;
  /** @returns a function that stops it */
  readonly add: (listener: (change: WatchChange) => void) => () => void;
}

function makeListeners({ log, name }: Connection, kind: ObjectKind): Listeners {
  const listeners = new Set<(change: WatchChange) => void>();
  return {
    tell: (changes) => {
      for (const change of changes) for (const listener of listeners) listener(change);
    },
    add: (listener) => {
      // One listener's bug is not the others'.
      const guarded = (change: WatchChange): void => {
        try {
          listener(change);
        } catch (error) {
          log.error("cluster.watch.listener", error, { cluster: name, resource: kind.resource });
        }
      };
      listeners.add(guarded);
      return () => listeners.delete(guarded);
    },
  };
}

interface Shared extends WatchedOptions {
  readonly known: KnownObjects;
  readonly listeners: Listeners;
  readonly state: State;
  readonly synced: Promise<undefined>;
  userCount: number;
}

/** What one user sees of a watch that others may use too. */
function openUser(shared: Shared): ObjectWatch {
  const { connection, kind, known, state } = shared;
  const closed = new AbortController();
  const closing = AbortSignal.any([closed.signal, connection.closing]);
  const stops = new Set<() => void>();
  shared.userCount += 1;
  const onChange = (listener: (change: WatchChange) => void): (() => void) => {
    const stop = shared.listeners.add(listener);
    stops.add(stop);
    return () => {
      stop();
      stops.delete(stop);
    };
  };
  return {
    untilSynced: (signal) => untilSynced(shared, AbortSignal.any([signal, closing])),
    get isConnected() {
      return state.isConnected;
    },
    find: (namespace, name) => known.find(namespace, name),
    all: () => known.all(),
    onChange,
    until: (isSo, signal) => untilSo(isSo, onChange, AbortSignal.any([signal, closing])),
    close: () => {
      if (closed.signal.aborted) return;
      closed.abort(unreachedFault(connection.name, { verb: "watch", resource: kind.resource }, "the watch was closed"));
      for (const stop of stops) stop();
      shared.userCount -= 1;
      if (shared.userCount === 0) shared.onUnused();
    },
  };
}

interface State {
  isConnected: boolean;
  /** Whether what is known cannot be gone on from. */
  isLost: boolean;
  failureCount: number;
  /** The last one. */
  failure?: unknown;
  /** When there was a stream last, on `Clock.elapsed`. */
  upAtMs: number;
}

interface StepOptions extends WatchedOptions {
  readonly known: KnownObjects;
  readonly state: State;
  readonly tell: Listeners["tell"];
  readonly refresh: (signal: AbortSignal) => Promise<void>;
  readonly onFailure: (error: unknown, failureCount: number) => void;
}

/** A step is one stream, and before it what is needed to know where it begins. */
function makeStep(options: StepOptions): (signal: AbortSignal) => Promise<number> {
  const { connection, known, state, tell } = options;
  const { clock } = connection;
  let hasBookmarks = false;
  let shortCount = 0;
  /** Whether the last stream brought nothing: to a version that the server has yet to reach nothing is sent, nor refused. */
  let isMute = false;

  return async (signal) => {
    if (state.failureCount > 0) await rest(options, signal);
    if (state.failureCount > 0 || isMute) await checkVersion(options, signal);
    if (state.isLost) await options.refresh(signal);
    let upAtMs: number | undefined;
    isMute = true;
    const end = await readStream(
      {
        ...options,
        version: known.version ?? "",
        silenceMs: () => (hasBookmarks ? SILENCE_MS : undefined),
        onUp: () => {
          upAtMs = clock.elapsed();
          state.isConnected = true;
        },
        onEvent: (event) => {
          isMute = false;
          const changes = known.take(event);
          if (changes === undefined) return false;
          tell(changes);
          return true;
        },
        onBookmark: (version) => {
          hasBookmarks = true;
          isMute = false;
          return known.advance(version);
        },
      },
      signal,
    );
    if (upAtMs !== undefined) state.upAtMs = clock.elapsed();
    const wasSteady = upAtMs !== undefined && clock.elapsed() - upAtMs >= STEADY_MS;
    if (end.type === "lost") state.isLost = true;
    if (end.type === "over" || (end.type === "lost" && end.isExpected)) {
      state.failureCount = 0;
      // A server that ends every stream at once is asked with growing waits too.
      shortCount = wasSteady ? 0 : shortCount + 1;
      return shortCount < 2 ? 0 : Math.min(FIRST_WAIT_MS * 2 ** (shortCount - 2), LONGEST_WAIT_MS);
    }
    if (!wasSteady) throw end.fault;
    options.onFailure(end.fault, 1);
    return FIRST_WAIT_MS;
  };
}

/** After a failure: not everybody at once. */
async function rest({ connection, state }: StepOptions, signal: AbortSignal): Promise<void> {
  const longestMs = Math.min((FIRST_WAIT_MS * 2 ** state.failureCount) / 2, LONGEST_WAIT_MS);
  await connection.clock.sleep(Math.random() * longestMs, signal);
}

/** Finds out whether the server is one that can have had the version that we go on from. */
async function checkVersion(options: StepOptions, signal: AbortSignal): Promise<void> {
  const { connection, known, state } = options;
  if (connection.clock.elapsed() - state.upAtMs > AWAY_MS) state.isLost = true;
  if (state.isLost || known.version === undefined) return;
  if (isBefore(await readVersion(options, signal), known.version)) state.isLost = true;
}

async function untilSynced({ synced, connection, kind, state }: Shared, signal: AbortSignal): Promise<void> {
  try {
    await unlessAborted(synced, signal);
  } catch (error) {
    if (error instanceof Fault) throw error;
    const why = state.failure instanceof Error ? state.failure.message : "the server did not answer in time";
    throw unreachedFault(connection.name, { verb: "list", resource: kind.resource }, why, state.failure ?? error);
  }
}

async function untilSo<Answer>(
  isSo: () => Answer | undefined,
  onChange: (listener: () => void) => () => void,
  signal: AbortSignal,
): Promise<Answer> {
  const found = Promise.withResolvers<Answer>();
  const look = (): void => {
    try {
      const answer = isSo();
      if (answer !== undefined) found.resolve(answer);
    } catch (error) {
      found.reject(error);
    }
  };
  const stop = onChange(look);
  try {
    look();
    return await unlessAborted(found.promise, signal);
  } finally {
    stop();
  }
}
