/**
 * The clusters as the controller sees them, and what it says of where a new environment goes.
 *
 * Put together by `src/cmd`.
 *
 * @module
 */
import type { PlacementCluster } from "../policy/placement.ts";
import type { Place as PlaceKind } from "../policy/unheld-properties.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { ClusterSettings } from "../wire/cluster-settings.ts";
import type { StoredDefinition } from "../wire/environment.ts";
import type { Pools } from "./pools/ports.ts";

/** What can be known of a branch from its mirror, before there is anything to look into. */
export interface BranchReader {
  /** As the settings have them. */
  readonly settings: readonly ClusterSettings[];
  /** Text of a file of a repository's mirror, `undefined` when there is none. */
  readFile(mirrorPath: string, branch: string, path: string): Promise<string | undefined>;
  /** Names in a folder of a repository's mirror, in any order; none when there is no such folder. */
  listFolder(mirrorPath: string, branch: string, path: string): Promise<readonly string[]>;
  /** What the files of manifests are: the same for the same contents of all that they are made from. */
  identifyManifests(mirrorPath: string, branch: string, paths: readonly string[]): Promise<unknown>;
}

/** What the clusters are, and how; absent where environments run on this machine. */
export interface Clusters extends BranchReader {
  /** As they are now. One that does not answer keeps nobody waiting. */
  list(): Promise<readonly PlacementCluster[]>;
  readonly pools: Pick<Pools, "giveUp" | "owns"> & {
    /** As of `Pools`, with the id of the repository. */
    readonly claim: Pools["claim"];
  };
  /** The runtime of one. @throws {Fault} `runtime.unable` when the settings have none of that name */
  at(cluster: string): Runtime;
  /** Has to be called when a record names another cluster than before. */
  forget(id: string): void;
}

/** Where one new environment goes. */
export interface Placed {
  readonly cluster: string;
  /** How many environments may be there, this one included; absent where it takes the place of a member. */
  readonly capacity?: number;
  /** Of the prepared environment that it becomes, if there was one. */
  readonly member?: string;
  /** What was found in the mirror; a prepared environment has another branch in it. */
  readonly definition?: StoredDefinition;
  /** What people should know of how that was found, one sentence each. */
  readonly notes?: readonly string[];
}

/** What an environment runs on. */
export function placeKindOf({ clusters }: { readonly clusters?: Clusters }): PlaceKind {
  return clusters === undefined ? "sandbox" : "kubernetes";
}
