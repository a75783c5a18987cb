/**
 * Where a new environment goes: on this machine, or on one of the clusters, and there perhaps into one that a pool has
 * ready.
 *
 * Called by `open-target.ts` once for each new environment, before it is recorded.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import { claimableOn, place, type PlacementCluster, type PlacementRequest } from "../policy/placement.ts";
import { describeBranch } from "./branch-definition.ts";
import type { Clusters, Placed } from "./clusters.ts";
import type { Context } from "./context.ts";
import { plainLine, stepLine } from "./lines.ts";
import type { Claimed } from "./pools/ports.ts";
import type { Target } from "./resolve.ts";
import type { Report } from "./shared-work.ts";

/** What records call this machine. */
const LOCAL = "local";

/**
 * Chooses where a new environment goes.
 *
 * @throws {Fault} `environment.unplaced`, `cluster.full` or `cluster.unreached`, told with why each cluster cannot take it
 */
export async function choosePlace(
  context: Context,
  { person, target, report }: { readonly person: string; readonly target: Target; readonly report: Report },
  signal: AbortSignal,
): Promise<Placed> {
  const { clusters } = context;
  if (clusters === undefined) return { cluster: LOCAL };
  const { clock, mirrors, store } = context;
  const begunAt = clock.elapsed();
  await mirrors.refresh(target.repository, clock.now() - target.resolvedAt, signal);
  const { repository, repositoryName } = target;
  const { definition, found, notes, version } = await describeBranch(clusters, {
    repositoryName,
    mirrorPath: mirrors.pathOf(repository),
    branch: target.fromBranch ?? target.branch,
  });
  report(stepLine(`reading what ${repositoryName} is`, clock.elapsed() - begunAt));
  const others = (await store.list({ person })).filter((one) => one.repository === repository);
  const sticky = others.sort((one, other) => other.lastActiveAt - one.lastActiveAt)[0]?.cluster;
  const { podSecurity, placement = {} } = definition.container;
  const request = { person, podSecurity, wantedLabels: placement, ...(sticky === undefined ? {} : { sticky }) };
  const known = await clusters.list();
  const claimed = await claimOn(clusters, { repository, version, on: claimableOn(request, known) }, signal);
  const chosen =
    claimed.type === "warm"
      ? { cluster: claimed.cluster, member: claimed.id }
      : placeCold(request, known, { repositoryName, claimed });
  if (claimed.type === "cold") report(plainLine(`made anew: ${claimed.because}`));
  return { ...chosen, notes, ...(found === undefined ? {} : { definition: found }) };
}

/** A member that is ready is there already, so it is asked for before there has to be room for one more. */
async function claimOn(
  { pools }: Clusters,
  wanted: { readonly repository: string; readonly version: string; readonly on: readonly string[] },
  signal: AbortSignal,
): Promise<Claimed> {
  return wanted.on.length === 0 ? { type: "none" } : pools.claim(wanted, signal);
}

function placeCold(
  request: PlacementRequest,
  known: readonly PlacementCluster[],
  { repositoryName, claimed }: { readonly repositoryName: string; readonly claimed: Claimed },
): Pick<Placed, "cluster" | "capacity"> {
  const chosen = place(request, known);
  if (chosen.type === "placed") {
    const { cluster } = chosen;
    const capacity = known.find(({ name }) => name === cluster)?.capacity;
    return { cluster, ...(capacity === undefined ? {} : { capacity }) };
  }
  const told = claimed.type === "cold" ? `${chosen.told}; and ${claimed.because}` : chosen.told;
  throw new Fault(chosen.code, `Cannot place an environment of ${repositoryName}: ${told}`, { told });
}
