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

/** How long one cluster may take to tell of what it has. */
const DESCRIBE_MS = 15_000;

/** Sweeps, one after the other. */
export interface Garbage {
  /** @param isDry finds out what would go, and changes nothing */
  sweep(isDry: boolean): Promise<GarbageReport>;
}

/** Makes the sweeping of one service. */
export function makeGarbage(context: Context): Garbage {
  /** Those that are going. */
  const going = new Set<string>();
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
  const sweep = async (isDry: boolean): Promise<GarbageReport> => {
    const { clusters } = context;
    const report: { rows: GarbageRow[]; away: string[] } = { rows: [], away: [] };
    for (const { name, isUp } of (await clusters?.list()) ?? []) {
      const rows = isUp && clusters !== undefined ? await judgeAll(context, clusters, name).catch(noAnswer) : undefined;
      if (rows === undefined) report.away.push(name);
      for (const row of rows ?? []) {
        if (going.has(row.id)) continue;
        const isOver = report.rows.filter(({ outcome }) => outcome === "removed").length >= SWEEP_MAX;
        const judged: GarbageRow =
          isOver && row.outcome === "removed" ? { ...row, outcome: "kept", because: "the next sweep takes it" } : row;
        report.rows.push(judged);
        if (judged.outcome === "removed" && !isDry) remove(clusters?.at(name) ?? context.runtime, judged);
        if (judged.outcome === "kept") context.log.debug("environment.unrecorded-kept", { ...judged });
      }
    }
    return report;
  };
  const noAnswer = (error: unknown): undefined => {
    context.log.warn("cluster.not-swept", { err: error });
  };
  return {
    sweep: (isDry) => {
      const mine = last.then(() => sweep(isDry));
      last = mine.catch(() => undefined);
      return mine;
    },
  };
}

/** Judges what one cluster has and nobody recorded. */
async function judgeAll({ store }: Context, clusters: Clusters, cluster: string): Promise<GarbageRow[]> {
  const runtime = clusters.at(cluster);
  const listed = await runtime.list();
  // After the list: what is made meanwhile has its record before.
  const unknown: string[] = [];
  for (const id of listed) {
    if ((await store.find(id)) === undefined && !(await clusters.pools.owns(id))) unknown.push(id);
  }
  if (unknown.length === 0) return [];
  const hasRecords = (await store.list()).length > 0;
  const described = (await runtime.describe?.(unknown, AbortSignal.timeout(DESCRIBE_MS))) ?? [];
  return Promise.all(
    described.map(async (one) => {
      const because = hasRecords
        ? await whyKeep(runtime, one)
        : "the database has no environments at all, as one has that was lost";
      const { id, ageMs } = one;
      return because === undefined
        ? { id, cluster, ageMs, outcome: "removed", because: "it is in no record" }
        : { id, cluster, ageMs, outcome: "kept", because };
    }),
  );
}

/** Says why something that nobody recorded is not to go; `undefined` when it is. */
async function whyKeep(runtime: Runtime, { id, ageMs, isMember }: Described): Promise<string | undefined> {
  if (ageMs < OLD_MS) return `it is younger than ${OLD_MS / 60_000} minutes`;
  return isMember ? undefined : whyWorth(runtime, id);
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
