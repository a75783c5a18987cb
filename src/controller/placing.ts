/**
 * Where a new environment goes: on this machine, or on one of the clusters, and there perhaps into one that a pool has
 * ready.
 *
 * Called by `open-target.ts` once for each new environment, before it is recorded.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import { place } from "../policy/placement.ts";
import { describeBranch } from "./branch-definition.ts";
import type { Placed } from "./clusters.ts";
import type { Context } from "./context.ts";
import { plainLine, stepLine } from "./lines.ts";
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
  const { definition, found, version } = await describeBranch(clusters, {
    repositoryName,
    mirrorPath: mirrors.pathOf(repository),
    branch: target.fromBranch ?? target.branch,
  });
  report(stepLine(`reading what ${repositoryName} is`, clock.elapsed() - begunAt));
  const others = (await store.list({ person })).filter((one) => one.repository === repository);
  const sticky = others.sort((one, other) => other.lastActiveAt - one.lastActiveAt)[0]?.cluster;
  const { podSecurity, placement = {} } = definition.container;
  const chosen = place(
    { person, podSecurity, wantedLabels: placement, ...(sticky === undefined ? {} : { sticky }) },
    await clusters.list(),
  );
  if (chosen.type === "refused") {
    const { code, told } = chosen;
    throw new Fault(code, `Cannot place an environment of ${repositoryName}: ${told}`, { told });
  }
  const { cluster } = chosen;
  const claimed = await clusters.pools.claim({ repository, version, cluster }, signal);
  if (claimed.type === "cold") report(plainLine(`made anew: ${claimed.because}`));
  return {
    cluster,
    ...(found === undefined ? {} : { definition: found }),
    ...(claimed.type === "warm" ? { member: claimed.id } : {}),
  };
}
