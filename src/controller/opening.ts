/**
 * Begins to bring an environment up, for all who wait for it, and clears away after what failed.
 *
 * @module
 */
import { endedWithin } from "../base/ended-within.ts";
import { Fault, faults } from "../base/fault.ts";
import { bringUp, type BringUpRequest, type Live, type OnStarted, takeUp } from "./bring-up.ts";
import { conditionOf } from "./conditions.ts";
import type { Context } from "./context.ts";
import { alone, endCalls, type Entry } from "./entries.ts";
import { takeCalls } from "./push-credentials.ts";
import { type Report, shareWork, type SharedWork } from "./shared-work.ts";

/**
 * Begins to bring an environment up; nothing else may be under way with it.
 */
export function startOpening(
  context: Context,
  entry: Entry,
  how: Pick<BringUpRequest, "askedSince" | "placed">,
): SharedWork<Live> {
  const request = { id: entry.id, ...how, onStarted: callsOf(context, entry) };
  return start(context, entry, (report, signal) => bringUp(context, { ...request, report }, signal));
}

/** Begins to take up an environment that runs already. */
export function startTakingUp(context: Context, entry: Entry): SharedWork<Live> {
  const request = { id: entry.id, onStarted: callsOf(context, entry) };
  return start(context, entry, (_, signal) => takeUp(context, request, signal));
}

/** What runs inside may call from its first command on. */
function callsOf(context: Context, entry: Entry): OnStarted {
  return async (record) => {
    await endCalls(entry);
    entry.calls = await takeCalls(context, record);
  };
}

function start(
  context: Context,
  entry: Entry,
  work: (report: Report, signal: AbortSignal) => Promise<Live>,
): SharedWork<Live> {
  const { signal } = entry.stop;
  const opening = shareWork(async (report) => {
    const begunAt = context.clock.elapsed();
    try {
      const live = await work(report, signal);
      signal.throwIfAborted();
      entry.live = live;
      const tookMs = Math.round(context.clock.elapsed() - begunAt);
      context.log.info("environment.opened", { environment: entry.id, login: live.record.login, tookMs });
      return live;
    } catch (error) {
      await endCalls(entry);
      if (!signal.aborted) await clearSoon(context, entry, error);
      throw error;
    } finally {
      entry.opening = undefined;
    }
  });
  entry.opening = opening;
  return opening;
}

/** A cluster takes its time to clear away, and whoever waits is to be told why before: after this long (guess). */
const CLEAR_MS = 500;

/** Begins to clear away, and waits a little for the end of that; nobody else begins anything before it. */
async function clearSoon(context: Context, entry: Entry, cause: unknown): Promise<void> {
  const cleared = alone(entry, () => clearFailed(context, entry.id, cause));
  await endedWithin(context.clock, CLEAR_MS, cleared);
}

/**
 * After a bringing up that failed: nothing stays of files that nobody has entered, so that they count for nothing and the
 * next try begins anew. Whatever had files keeps them and sleeps.
 */
async function clearFailed({ store, runtime, log }: Context, id: string, cause: unknown): Promise<void> {
  // Nothing for an operator: it is about what the person asked for, and they are told; or told once, of the whole cluster.
  if (cause instanceof Fault && (faults[cause.code].blame === "caller" || cause.code === "cluster.unreached"))
    log.warn("environment.refused", { environment: id, code: cause.code, reason: cause.message });
  else log.error("environment.failed", cause, { environment: id });
  try {
    if (cause instanceof Fault && cause.code === "environment.overtaken") return; // it is somebody else's now
    const record = await store.find(id);
    if (record === undefined || record.desired === "absent") return;
    const { fence, conditions } = await store.begin(id, "destroying");
    if (conditionOf(conditions, "CheckedOut") !== undefined) {
      await runtime.sleep(id);
      await store.end(id, fence, { power: "sleeping" });
      return;
    }
    await runtime.destroy(id, fence);
    await store.remove(id, fence);
  } catch (error) {
    // The watch does it later.
    if (error instanceof Fault && error.code === "cluster.unreached")
      log.warn("environment.not-cleared", { environment: id, err: error });
    else log.error("environment.not-cleared", error, { environment: id });
  }
}
