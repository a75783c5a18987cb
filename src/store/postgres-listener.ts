/**
 * Hears what other processes tell on a channel of PostgreSQL (LISTEN), over a connection of its own that is made again
 * for as long as it is wanted.
 *
 * Used by `open-postgres.ts` alone. A connection can break without a word (a cable, a firewall that forgot it), and TCP
 * takes minutes to notice: so the server is asked again and again, and one that does not answer is given up.
 *
 * @module
 */
import { Client, type ClientConfig } from "pg";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import { keep } from "../base/keep.ts";
import type { Log } from "../base/log.ts";
import { unlessAborted } from "../base/unless-aborted.ts";
import { untilFirst } from "../base/until-first.ts";
import { translateLoss } from "./postgres-faults.ts";

/** Together the longest time for which a broken connection can go unnoticed: 1 s, of the 2 s that a revocation has. */
const BEAT_EVERY_MS = 500;
const BEAT_TIMEOUT_MS = 500;

/** Waits before connecting again: the first, which each failure doubles, and the longest (guesses). */
const AGAIN_AFTER_MS = 100;
const AGAIN_AFTER_MS_MAX = 1_000;

/** How long an orderly end may take. */
const END_MS = 500;

/** One that holds the lock and is gone lets go when the server sees it: at once, or if its machine is gone after 11 s. */
const LOCK_MS = 15_000;
const LOCK_AGAIN_MS = 100;

/** In seconds and times: tcp(7). Of no effect on Unix sockets. */
const KEEPALIVE = "set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3";

export interface ListenOptions {
  /** The database, for logs. */
  readonly name: string;
  readonly config: ClientConfig;
  /** A plain lower-case word. */
  readonly channel: string;
  /** What no other process may hold while this connection lasts, if anything. */
  readonly lock?: string;
  /** How long to wait for whoever holds it. @default 15 s */
  readonly lockMs?: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly onTold: (text: string) => void;
  /** Called when it hears again after a time in which it did not. */
  readonly onGap: () => void;
  /** Called when the lock, which went with a broken connection, is another's now. */
  readonly onLost?: (fault: Fault) => void;
}

/**
 * Begins to listen.
 *
 * @returns once it hears, a function that ends it
 * @throws {Fault} `state.unreached` when the first attempt fails, `state.locked` when another process holds the lock
 */
export async function openListener(options: ListenOptions): Promise<() => Promise<void>> {
  const { clock, name } = options;
  const stop = new AbortController();
  const { promise: heard, resolve, reject } = Promise.withResolvers<undefined>();
  let isAgain = false;
  const onHeard = (): void => {
    if (isAgain) options.onGap();
    isAgain = true;
    resolve(undefined);
  };
  const onFailure = (error: unknown, failureCount: number): void => {
    if (isAgain) options.log.warn("store.unheard", { database: name, why: String(error), failureCount });
    reject(translateLoss(error, name)); // of the first attempt; afterwards nobody waits for it
  };
  const waits = { clock, onFailure, firstWaitMs: AGAIN_AFTER_MS, longestWaitMs: AGAIN_AFTER_MS_MAX };
  const kept = keep((signal) => listenOnce(options, { onHeard, isAgain }, signal), waits, stop.signal);
  const close = async (): Promise<void> => {
    stop.abort();
    await kept;
  };
  try {
    await heard;
  } catch (error) {
    await close();
    throw error;
  }
  return close;
}

/** Listens over one connection until it breaks. Rejects when it could not even begin. */
async function listenOnce(
  options: ListenOptions,
  { onHeard, isAgain }: { readonly onHeard: () => void; readonly isAgain: boolean },
  signal: AbortSignal,
): Promise<number> {
  const { clock, log, name, config } = options;
  const client = new Client(config);
  const over = new AbortController();
  const ended = unlessAborted(untilBroken(client), signal);
  ended.catch(() => undefined); // it may break while nobody waits
  client.on("notification", ({ payload = "" }) => options.onTold(payload));
  let isHeard = false;
  try {
    await Promise.race([ended, begin(client, options)]);
    const locked = takeLock(client, options, over.signal);
    // Our own connection from before may have it, which the server has yet to give up: we hear meanwhile.
    if (isAgain) locked.catch((error: unknown) => tellLost(error, options));
    else await Promise.race([ended, locked]);
    isHeard = true;
    onHeard();
    return await Promise.race([ended, beat(client, clock, over.signal)]);
  } catch (error) {
    if (!isHeard || signal.aborted) throw error;
    log.warn("store.unheard", { database: name, why: String(error) });
    return AGAIN_AFTER_MS;
  } finally {
    over.abort();
    await Promise.race([client.end(), clock.sleep(END_MS)]);
    client.connection.stream.destroy();
  }
}

async function begin(client: Client, { channel }: ListenOptions): Promise<void> {
  await client.connect();
  await client.query(`listen ${channel}`);
}

function tellLost(error: unknown, { onLost }: ListenOptions): void {
  if (error instanceof Fault) onLost?.(error); // anything else is the end of the connection, told by itself
}

/** @throws {Fault} `state.locked` when another process keeps it */
async function takeLock(
  client: Client,
  { lock, lockMs = LOCK_MS, clock, name }: ListenOptions,
  signal: AbortSignal,
): Promise<void> {
  if (lock === undefined) return;
  await client.query(KEEPALIVE);
  const begunAt = clock.elapsed();
  const words = "select pg_try_advisory_lock(hashtextextended($1, 0)) as taken";
  while (!(await client.query<{ taken: boolean }>(words, [`slipway ${lock}`])).rows.some(({ taken }) => taken)) {
    if (clock.elapsed() - begunAt >= lockMs) {
      const holder = "another process on this state folder, or on a copy of it, has it";
      throw new Fault("state.locked", `Cannot lock ${lock} in ${name}: ${holder}`);
    }
    await clock.sleep(LOCK_AGAIN_MS, signal);
  }
}

function untilBroken(client: Client): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  client.on("error", reject); // and without a listener Node throws it at the process
  client.on("end", () => reject(new Error("Cannot hear: the server closed the connection")));
  return promise;
}

/** Rejects once the server is silent. */
async function beat(client: Client, clock: Clock, signal: AbortSignal): Promise<never> {
  for (;;) {
    await clock.sleep(BEAT_EVERY_MS, signal);
    const first = await untilFirst({
      answered: () => client.query("select 1"),
      // Half by half: after a time in which this process stood still, its timers are due before it reads what has come.
      silent: async (won) => {
        await clock.sleep(BEAT_TIMEOUT_MS / 2, won);
        await clock.sleep(BEAT_TIMEOUT_MS / 2, won);
      },
    });
    if (first === "silent") throw new Error(`Cannot hear: the server did not answer for ${BEAT_TIMEOUT_MS} ms`);
  }
}
