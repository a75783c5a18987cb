/**
 * Volumes of the services beside the target: bounded where the cluster has volumes, and as short-lived as their pods where it has
 * none.
 *
 * @module
 */
import type { ClusterSettings } from "../../wire/cluster-settings.ts";
import { type ManifestComplaint, nameOf } from "./complaint.ts";
import { at, fieldsOf, listOf, textOf, without, withAt } from "./fields.ts";
import { templatePath } from "./manifest-kinds.ts";
import type { Taken } from "./take-objects.ts";
import { tidyClaim } from "./tidy-object.ts";

/** More than an environment has a use for (guess). */
const CLAIMS_MAX = 20;

interface Placed {
  readonly taken: readonly Taken[];
  readonly warnings: readonly string[];
  readonly complaints: readonly ManifestComplaint[];
}

const TEMPLATES = ["spec", "volumeClaimTemplates"] as const;

/** Bounds the claims that stateful sets make; those that stand by themselves have been. */
export function withTidyTemplates(taken: readonly Taken[], workspace: ClusterSettings["workspace"]): Placed {
  const warnings: string[] = [];
  const placed = taken.map((one) => {
    const templates = at(one.object, TEMPLATES);
    if (templates === undefined) return one;
    const tidied = listOf(templates).map((template) => {
      const tidy = tidyClaim(fieldsOf(template)["spec"], workspace);
      warnings.push(...tidy.warnings.map((warning) => `${nameOf(one.object)}: ${warning}`));
      return { metadata: { name: nameIn(template) }, spec: tidy.spec };
    });
    return { ...one, object: { ...one.object, ...withAt(one.object, TEMPLATES, tidied) } };
  });
  const count = claimCountOf(placed);
  const message = `the manifests claim ${count} volumes, needs at most ${CLAIMS_MAX}`;
  return { taken: placed, warnings, complaints: count > CLAIMS_MAX ? [{ path: [], message }] : [] };
}

/** Puts folders of the pod in the place of claims; `adaptPod` does so with the volumes that refer to them. */
export function withoutClaims(taken: readonly Taken[]): Placed {
  const claims = taken.filter(({ object }) => object.kind === "PersistentVolumeClaim");
  const stateful = taken.filter(({ object }) => at(object, TEMPLATES) !== undefined);
  const placed = taken
    .filter((one) => !claims.includes(one))
    .map((one) => (stateful.includes(one) ? withFolders(one) : one));
  const lost = [...claims, ...stateful].map(
    ({ object }) => `${nameOf(object)}: this cluster has no volumes, so its files are lost with its pod`,
  );
  return { taken: placed, warnings: lost, complaints: [] };
}

function withFolders(one: Taken): Taken {
  const folders = listOf(at(one.object, TEMPLATES)).map((template) => ({ name: nameIn(template), emptyDir: {} }));
  const path = [...(templatePath(one.object.kind) ?? []), "spec", "volumes"];
  const volumes = [...listOf(at(one.object, path)), ...folders];
  const object = withAt(one.object, path, volumes);
  return {
    ...one,
    object: { ...one.object, ...object, spec: without(fieldsOf(object["spec"]), ["volumeClaimTemplates"]) },
  };
}

function nameIn(template: unknown): string {
  return textOf(at(template, ["metadata", "name"])) ?? "";
}

/** How many volumes there will be. */
export function claimCountOf(taken: readonly Taken[]): number {
  return taken.reduce((total, { object }) => {
    if (object.kind === "PersistentVolumeClaim") return total + 1;
    const replicas = fieldsOf(object["spec"])["replicas"];
    return total + listOf(at(object, TEMPLATES)).length * (typeof replicas === "number" ? Math.max(0, replicas) : 1);
  }, 0);
}
