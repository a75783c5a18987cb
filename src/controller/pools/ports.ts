/**
 * Pools as the rest of the controller sees them, and what they need of it.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { PlacementRequest } from "../../policy/placement.ts";
import type { Requests } from "../../policy/pool-cost.ts";
import type { EnvironmentSpec, Runtime, StartSpec } from "../../runtime/runtime.ts";
import type { Environments } from "../../store/environments.ts";
import type { PoolMembers } from "../../store/pools.ts";
import type { PoolSettings } from "../../wire/cluster-settings.ts";
import type { LifecycleStep } from "../../wire/definition.ts";
import type { PoolExplanation, PoolRow } from "../../wire/lobby.ts";

/** How one member is made. Nothing of a person is in it. */
export interface MemberMaking {
  readonly spec: EnvironmentSpec;
  readonly start: StartSpec;
  /** What can be run ahead of any claim, in order: `isBaked` of `policy/pool-version.ts` says which steps can. */
  readonly bake: readonly LifecycleStep[];
  /** For those. */
  readonly env: Readonly<Record<string, string>>;
}

/** What the members of a pool are made from now. */
export interface MemberSpec {
  /** By `versionOf` of `policy/pool-version.ts`: members of another are of no use. */
  readonly version: string;
  /** For people to look at. */
  readonly image?: string;
  /** What a cluster must have to be given members. */
  readonly needs: Pick<PlacementRequest, "podSecurity" | "wantedLabels">;
  /** What one member keeps from others while it waits. */
  readonly requests: Requests;
  make(id: string, cluster: string): MemberMaking;
}

/** Where one more member may go. */
export interface MemberPlace {
  readonly cluster: string;
  /** How many environments may be there, members included. */
  readonly capacity: number;
}

export interface PoolsOptions {
  readonly settings: readonly PoolSettings[];
  readonly store: { readonly pools: PoolMembers; readonly environments: Pick<Environments, "find"> };
  readonly runtime: Pick<Runtime, "create" | "start" | "run" | "note" | "observe" | "destroy">;
  readonly clock: Clock;
  readonly log: Log;
  /** Reads what members are to be made from: the definition of the default branch. @throws {Fault} when it cannot be read */
  describe(pool: PoolSettings, signal: AbortSignal): Promise<MemberSpec>;
  /** Chooses the cluster for one more member: that of the settings if they say one. @throws {Fault} when there is no room */
  place(pool: PoolSettings, needs: MemberSpec["needs"], signal: AbortSignal): Promise<MemberPlace>;
  /** Talks to what runs in a member. @throws when it does not answer as it should */
  verify(id: string, signal: AbortSignal): Promise<void>;
  /** Says whether somebody waits for an environment: they come before any member. */
  isBusy(): boolean;
}

export interface ClaimRequest {
  /** The repository, as the settings of pools call it. */
  readonly repository: string;
  /** Of the environment that is wanted, by `versionOf`. */
  readonly version: string;
  /** Clusters that it may be on, the one liked best first; any when absent. */
  readonly on?: readonly string[];
}

export type Claimed =
  /** The environment is to have this id, and its record is to be written at once: what has none in 5 minutes is destroyed. */
  | { readonly type: "warm"; readonly id: string; readonly cluster: string; readonly pool: string }
  /** No pool is for this. */
  | { readonly type: "none" }
  /** There is none, and why: for the person who waits. */
  | { readonly type: "cold"; readonly because: string };

export interface Pools {
  /** Keeps the pools as they are to be until `signal` aborts, then stops what it is doing and resolves. Called once. */
  keep(signal: AbortSignal): Promise<void>;
  /** Claims a member that is alive. Never rejects for what is wrong with a pool. */
  claim(request: ClaimRequest, signal: AbortSignal): Promise<Claimed>;
  /** Has to be told when a claimed member turned out to be of no use; its environment must have no record any more. */
  giveUp(id: string, because: string): Promise<void>;
  /** Says whether something that exists is a member, and therefore nobody else's to take away. */
  owns(id: string): Promise<boolean>;
  /** Has the definitions read again, of one repository by its name or of all, as after a push. */
  look(repository?: string): void;
  list(): Promise<PoolRow[]>;
  /** @throws {Fault} `usage.wrong` when there is no such pool, with the nearest names */
  explain(name: string): Promise<PoolExplanation>;
}
