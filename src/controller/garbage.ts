/**
 * Clears away what is on the clusters and in no record: records are written before anything is made and deleted after it is
 * gone, so it was made by another database than ours, as by one that was lost and restored.
 *
 * Called by `environments.ts`: again and again, and for `slip gc`. Nothing of another installation is ever seen, what is young
 * may belong to a restore that is under way, and what holds work is kept and told. The other side, records of what is no
 * more, is `adopt.ts`'s.
 *
 * @module
 */
import { toldOf } from "../base/fault.ts";
import type { Described, Runtime } from "../runtime/runtime.ts";
import type { GarbageReport, GarbageRow } from "../wire/garbage.ts";
import type { Clusters } from "./clusters.ts";
import type { Context } from "./context.ts";
import { holdsWork } from "./remove.ts";

/** A database takes less time to be restored (guess). */
const OLD_MS = 30 * 60_000;

/** As many as are cleared away at once: whatever went wrong, there is time to see it. */
const SWEEP_MAX = 10;

/** Environments that are looked into at once: each takes a command in its pod. */
const LOOKS_MAX = 10;

/** How long it is believed that something is to be kept: nobody works in what no record knows, so that it stays (guess). */
const KEPT_MS = 60 * 60_000;

/** How long one cluster may take to tell of what it has. */
const DESCRIBE_MS = 15_000;

/** Sweeps, one after the other. */
export interface Garbage {
  /**
   * @param isDry finds out what would go, and changes nothing
   * @param isAnew looks into all there is, for a person who asks; else into a few at a time, and for an hour not again into
   *   what was to be kept. @default `isDry`
   */
  sweep(isDry: boolean, isAnew?: boolean): Promise<GarbageReport>;
}

/** Why something is to be kept, as was found by looking into it. */
interface Kept {
  readonly because: string;
  /** On the clock that never jumps. */
  readonly at: number;
}

/** One sweep over one cluster. */
interface Sweep {
  readonly context: Context;
  readonly clusters: Clusters;
  readonly cluster: string;
  readonly going: ReadonlySet<string>;
  /** By id; of this cluster. */
  readonly kept: Map<string, Kept>;
  readonly looks: Looks;
}

/** Those that a sweep may still take, over all clusters. */
interface Looks {
  readonly isAnew: boolean;
  left: number;
}

/** Makes the sweeping of one service. */
export function makeGarbage(context: Context): Garbage {
  /** Those that are going. */
  const going = new Set<string>();
  /** What was kept, by cluster. */
  const kept = new Map<string, Map<string, Kept>>();
  const remove = (runtime: Runtime, { id, cluster }: GarbageRow): void => {
    context.log.warn("environment.unrecorded-destroyed", { environment: id, cluster });
    going.add(id);
    runtime
      .destroy(id)
      .catch((error: unknown) => {
        context.log.warn("environment.not-cleared", { environment: id, cluster, err: error });
      })
      .finally(() => going.delete(id));
  };
  let last: Promise<unknown> = Promise.resolve();
  const sweep = async (isDry: boolean, isAnew: boolean): Promise<GarbageReport> => {
    const { clusters } = context;
    const report: { rows: GarbageRow[]; away: string[] } = { rows: [], away: [] };
    if (clusters === undefined) return report;
    const looks: Looks = { isAnew, left: LOOKS_MAX };
    for (const { name, isUp } of await clusters.list()) {
      const own = kept.get(name) ?? new Map<string, Kept>();
      kept.set(name, own);
      const judging = { context, clusters, cluster: name, going, kept: own, looks };
      const rows = isUp ? await judgeAll(judging).catch(noAnswer) : undefined;
      if (rows === undefined) report.away.push(name);
      for (const row of rows ?? []) {
        const isOver = report.rows.filter(({ outcome }) => outcome === "removed").length >= SWEEP_MAX;
        const judged: GarbageRow =
          isOver && row.outcome === "removed" ? { ...row, outcome: "kept", because: "the next sweep takes it" } : row;
        report.rows.push(judged);
        if (judged.outcome === "removed" && !isDry) remove(clusters.at(name), judged);
        if (judged.outcome === "kept") context.log.debug("environment.unrecorded-kept", { ...judged });
      }
    }
    return report;
  };
  const noAnswer = (error: unknown): undefined => {
    context.log.warn("cluster.not-swept", { err: error });
  };
  return {
    sweep: (isDry, isAnew = isDry) => {
      const mine = last.then(() => sweep(isDry, isAnew));
      last = mine.catch(() => undefined);
      return mine;
    },
  };
}

/** Judges what one cluster has and nobody recorded, but for what is going already. */
async function judgeAll(sweep: Sweep): Promise<GarbageRow[]> {
  const { context, clusters, cluster, going, kept } = sweep;
  const { store } = context;
  const runtime = clusters.at(cluster);
  const listed = await runtime.list();
  // After the list: what is made meanwhile has its record before.
  const unknown: string[] = [];
  for (const id of listed) {
    if (going.has(id)) continue;
    // In this order: a member that becomes an environment is recorded as that before it is no member any more.
    if (!(await clusters.pools.owns(id)) && (await store.find(id)) === undefined) unknown.push(id);
  }
  for (const id of kept.keys()) if (!unknown.includes(id)) kept.delete(id);
  if (unknown.length === 0) return [];
  const hasRecords = (await store.list()).length > 0;
  const described = (await runtime.describe?.(unknown, AbortSignal.timeout(DESCRIBE_MS))) ?? [];
  return Promise.all(
    described.map(async (one) => {
      const because = hasRecords
        ? await whyKeep(sweep, one)
        : "the database has no environments at all, as one has that was lost";
      const { id, ageMs } = one;
      return because === undefined
        ? { id, cluster, ageMs, outcome: "removed", because: "it is in no record" }
        : { id, cluster, ageMs, outcome: "kept", because };
    }),
  );
}

/** Says why something that nobody recorded is not to go; `undefined` when it is. */
async function whyKeep(sweep: Sweep, { id, ageMs, isMember }: Described): Promise<string | undefined> {
  if (ageMs < OLD_MS) return `it is younger than ${OLD_MS / 60_000} minutes`;
  if (isMember) return undefined;
  const { context, clusters, cluster, kept, looks } = sweep;
  const { clock } = context;
  if (!looks.isAnew) {
    const known = kept.get(id);
    if (known !== undefined && clock.elapsed() - known.at < KEPT_MS) return known.because;
    if (looks.left === 0) return "a later sweep looks into it";
    looks.left -= 1;
  }
  const because = await whyWorth(clusters.at(cluster), id);
  if (because === undefined) kept.delete(id);
  else kept.set(id, { because, at: clock.elapsed() });
  return because;
}

/** Says why an environment that nobody recorded is worth keeping; `undefined` when there is no work in it. */
export async function whyWorth(runtime: Pick<Runtime, "observe" | "unsaved">, id: string): Promise<string | undefined> {
  try {
    const { checkedOut } = await runtime.observe(id);
    return checkedOut && holdsWork(await runtime.unsaved(id)) ? "there is work in it that is not pushed" : undefined;
  } catch (error) {
    return `nobody can look for work in it: ${toldOf(error)}`;
  }
}
