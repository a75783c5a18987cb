/**
 * On which cluster a new environment goes.
 *
 * Called by `controller/`, which knows how the clusters are. A choice once made is recorded with the environment; nothing
 * here moves one.
 *
 * @module
 */
import type { PodSecurity } from "../wire/cluster-settings.ts";

/** What is to be placed. */
export interface PlacementRequest {
  /** Id of the person, as in grants. */
  readonly person: string;
  /** Labels that the cluster must have, each with this value. */
  readonly wantedLabels: Readonly<Record<string, string>>;
  /** Where the person's other environments of this repository are, or were last. */
  readonly sticky?: string;
  /** What the definition needs. */
  readonly podSecurity: PodSecurity;
}

/** A cluster as it is now. */
export interface PlacementCluster {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Environments at one time, members of pools included. */
  readonly capacity: number;
  /** How many of them there are. */
  readonly present: number;
  /** How many of those are members of pools, and nobody's yet. @default 0 */
  readonly pooled?: number;
  readonly isUp: boolean;
  readonly people: "*" | readonly string[];
  /** What definitions may ask for. */
  readonly podSecurity: PodSecurity;
}

export type Placement =
  | { readonly type: "placed"; readonly cluster: string; /** A sentence for logs and people. */ readonly why: string }
  | {
      readonly type: "refused";
      /** For the person: for each cluster why not. */
      readonly told: string;
      /** Full or away may pass; what fits nowhere does not. */
      readonly code: "cluster.full" | "cluster.unreached" | "environment.unplaced";
    };

/** Why a cluster is not taken, in the order in which that is looked at. */
type Reason = { readonly type: "unfit" | "away" | "full"; readonly text: string };

/**
 * Chooses the cluster: of those that fit, are up and have room, the sticky one, else the one with the most of its capacity
 * free. The same facts always give the same answer.
 */
export function place(request: PlacementRequest, clusters: readonly PlacementCluster[]): Placement {
  const judged = clusters.map((cluster) => ({ cluster, reason: whyNot(request, cluster) }));
  const able = judged.filter(({ reason }) => reason === undefined).map(({ cluster }) => cluster);
  const sticky = able.find(({ name }) => name === request.sticky);
  if (sticky !== undefined) {
    return { type: "placed", cluster: sticky.name, why: "your environments of this repository are there" };
  }
  const [best] = able.toSorted(byRoom);
  if (best !== undefined) {
    const { name, present, capacity } = best;
    const kept = judged.find(({ cluster }) => cluster.name === request.sticky)?.reason;
    const instead = kept === undefined ? "" : `, since ${request.sticky ?? ""} ${kept.text}`;
    return { type: "placed", cluster: name, why: `it has the most room, ${present} of ${capacity} in use${instead}` };
  }
  return refusalOf(judged.map(({ cluster, reason }) => ({ name: cluster.name, reason: reason ?? NEVER })));
}

/**
 * Lists where a member of a pool may be taken from, the cluster liked best first. It becomes the environment, so that a full
 * cluster can give one too.
 */
export function claimableOn(request: PlacementRequest, clusters: readonly PlacementCluster[]): string[] {
  const fit = clusters.filter((cluster) => ["full", undefined].includes(whyNot(request, cluster)?.type));
  const isOther = ({ name }: PlacementCluster): number => (name === request.sticky ? 0 : 1);
  return fit.toSorted((one, other) => isOther(one) - isOther(other) || byRoom(one, other)).map(({ name }) => name);
}

function byRoom(one: PlacementCluster, other: PlacementCluster): number {
  return freeOf(other) - freeOf(one) || (one.name < other.name ? -1 : 1);
}

const NEVER: Reason = { type: "unfit", text: "" };

function freeOf({ capacity, present }: PlacementCluster): number {
  return (capacity - present) / capacity;
}

function whyNot(request: PlacementRequest, cluster: PlacementCluster): Reason | undefined {
  const lacking = Object.entries(request.wantedLabels).filter(
    ([key, value]) => !Object.hasOwn(cluster.labels, key) || cluster.labels[key] !== value,
  );
  if (lacking.length > 0) {
    const labels = lacking.map(([key, value]) => `${key}=${value}`).join(", ");
    return { type: "unfit", text: `has no label ${labels}` };
  }
  if (cluster.people !== "*" && !cluster.people.includes(request.person)) {
    return { type: "unfit", text: "is not open to you" };
  }
  if (request.podSecurity === "baseline" && cluster.podSecurity === "restricted") {
    return { type: "unfit", text: "takes only pods that are restricted, and the definition asks for baseline" };
  }
  if (!cluster.isUp) return { type: "away", text: "does not answer" };
  if (cluster.present >= cluster.capacity) {
    const { present, capacity, pooled = 0 } = cluster;
    const held = pooled === 0 ? "" : `, ${pooled} of them by pools`;
    return { type: "full", text: `is full, ${present} of ${capacity} in use${held}` };
  }
  return undefined;
}

function refusalOf(judged: readonly { readonly name: string; readonly reason: Reason }[]): Placement {
  if (judged.length === 0) {
    return { type: "refused", code: "environment.unplaced", told: "there is no cluster to make an environment on" };
  }
  const has = (type: Reason["type"]): boolean => judged.some(({ reason }) => reason.type === type);
  const code = has("full") ? "cluster.full" : has("away") ? "cluster.unreached" : "environment.unplaced";
  const reasons = judged.map(({ name, reason }) => `${name} ${reason.text}`).join("; ");
  return { type: "refused", code, told: `no cluster can take this environment: ${reasons}` };
}
