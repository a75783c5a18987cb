/**
 * What has to be the same for a prepared environment to become somebody's: everything that is decided when its pod is made,
 * and nothing of whose it is or of its branch.
 *
 * @module
 */
import type { KubernetesObject } from "../../wire/kubernetes.ts";
import type { ObjectFacts, TargetFacts } from "./facts.ts";
import { levelOf } from "./namespace.ts";

export interface ShapeFacts {
  readonly facts: Pick<ObjectFacts, "cluster" | "podSecurity" | "tier" | "repository">;
  readonly target: Omit<TargetFacts, "hostname">;
  readonly image?: string;
  readonly manifests?: readonly KubernetesObject[];
  readonly targetName?: string;
}

/** A text that two environments share exactly when a member of one fits the other. To be hashed by the caller. */
export function shapeKey({ facts, target, image, manifests, targetName }: ShapeFacts): string {
  const { cluster, tier, repository } = facts;
  const { name, images, workspace, runAsUser, tiers, network, path } = cluster;
  return canonical({
    repository,
    cluster: { name, images, workspace, runAsUser, network, path, size: tiers[tier] },
    podSecurity: levelOf(facts),
    target: {
      user: target.user,
      workspaceFolder: target.workspaceFolder,
      containerEnv: target.containerEnv,
      runAsUser: target.runAsUser,
      serviceAccountToken: target.serviceAccountToken,
      hostRequirements: target.hostRequirements,
    },
    ...(manifests === undefined ? { image: image ?? images.base } : { manifests, targetName }),
  });
}

/** JSON with the keys of each object in one order: RFC 8785 in spirit. */
function canonical(value: unknown): string {
  const ordered = (inner: unknown): unknown => {
    if (Array.isArray(inner)) return inner.map(ordered);
    if (typeof inner !== "object" || inner === null) return inner;
    return Object.fromEntries(
      Object.entries(inner)
        .toSorted(([one], [other]) => (one < other ? -1 : 1))
        .map(([name, held]) => [name, ordered(held)]),
    );
  };
  return JSON.stringify(ordered(value));
}
