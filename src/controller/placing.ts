/**
 * Where a new environment goes: on this machine, or on one of the clusters, and there perhaps into one that a pool has
 * ready.
 *
 * Called by `open-target.ts` once for each new environment, before it is recorded.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import { place, type PlacementCluster } from "../policy/placement.ts";
import type { Place as PlaceKind } from "../policy/unheld-properties.ts";
import { partsOf, versionOf } from "../policy/pool-version.ts";
import { definitionPaths } from "../wire/definition.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { StoredDefinition } from "../wire/environment.ts";
import type { Context } from "./context.ts";
import { readDefinition } from "./definition.ts";
import { plainLine, stepLine } from "./lines.ts";
import type { Pools } from "./pools/ports.ts";
import type { Target } from "./resolve.ts";
import type { Report } from "./shared-work.ts";

/** What the clusters are, and how; absent where environments run on this machine. */
export interface Clusters {
  /** As they are now. */
  list(): Promise<readonly PlacementCluster[]>;
  /** Text of a file of a repository's mirror, `undefined` when there is none. */
  readFile(mirrorPath: string, branch: string, path: string): Promise<string | undefined>;
  readonly pools: Pick<Pools, "claim" | "giveUp" | "owns">;
  /** The runtime of one. @throws {Fault} `runtime.unable` when the settings have none of that name */
  at(cluster: string): Runtime;
  /** Has to be called when a record names another cluster than before. */
  forget(id: string): void;
}

/** Where one new environment goes. */
export interface Placed {
  readonly cluster: string;
  /** Of the prepared environment that it becomes, if there was one. */
  readonly member?: string;
  /** What was found in the mirror; a prepared environment has another branch in it. */
  readonly definition?: StoredDefinition;
}

/** What records call this machine. */
const LOCAL = "local";

/** What an environment of this context runs on. */
export function placeKindOf({ clusters }: Pick<Context, "clusters">): PlaceKind {
  return clusters === undefined ? "sandbox" : "kubernetes";
}

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
  const found = await findInMirror(clusters, mirrors.pathOf(target.repository), target.fromBranch ?? target.branch);
  const facts = { id: "", repositoryName: target.repositoryName };
  const { definition } = readDefinition(found, facts, placeKindOf(context));
  report(stepLine(`reading what ${target.repositoryName} is`, clock.elapsed() - begunAt));
  const others = (await store.list({ person })).filter(({ repository }) => repository === target.repository);
  const sticky = others.sort((one, other) => other.lastActiveAt - one.lastActiveAt)[0]?.cluster;
  const { podSecurity, placement = {} } = definition.container;
  const chosen = place(
    { person, podSecurity, wantedLabels: placement, ...(sticky === undefined ? {} : { sticky }) },
    await clusters.list(),
  );
  if (chosen.type === "refused") {
    const { code, told } = chosen;
    throw new Fault(code, `Cannot place an environment of ${target.repositoryName}: ${told}`, { told });
  }
  const { cluster } = chosen;
  const version = versionOf(partsOf(definition));
  const claimed = await clusters.pools.claim({ repository: target.repositoryName, version, cluster }, signal);
  if (claimed.type === "cold") report(plainLine(`made anew: ${claimed.because}`));
  return {
    cluster,
    ...(found === undefined ? {} : { definition: found }),
    ...(claimed.type === "warm" ? { member: claimed.id } : {}),
  };
}

/** Finds the definition that a branch of a mirror has. */
export async function findInMirror(
  { readFile }: Pick<Clusters, "readFile">,
  mirrorPath: string,
  branch: string,
): Promise<StoredDefinition | undefined> {
  for (const path of definitionPaths) {
    const text = await readFile(mirrorPath, branch, path);
    if (text !== undefined) return { path, text };
  }
  return undefined;
}
