/**
 * Volumes of the services beside the target: bounded where the cluster has volumes, and as short-lived as their pods where it has
 * none.
 *
 * @module
 */
import type { ClusterSettings } from "../../wire/cluster-settings.ts";
import type { KubernetesObject } from "../../wire/kubernetes.ts";
import { type ManifestComplaint, nameOf } from "./complaint.ts";
import { at, fieldsOf, type Fields, listOf, textOf, without, withAt } from "./fields.ts";
import { templatePath } from "./manifest-kinds.ts";
import { podsOf } from "./replicas.ts";
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

/** Bounds the claims that stateful sets and pods make; those that stand by themselves have been. */
export function withTidyClaims(taken: readonly Taken[], workspace: ClusterSettings["workspace"]): Placed {
  const warnings: string[] = [];
  const placed = taken.map((one) => {
    const tidySpec = (spec: unknown): Fields => {
      const tidied = tidyClaim(spec, workspace);
      warnings.push(...tidied.warnings.map((warning) => `${nameOf(one.object)}: ${warning}`));
      return tidied.spec;
    };
    return { ...one, object: { ...one.object, ...withTidyVolumes(withTidyTemplates(one.object, tidySpec), tidySpec) } };
  });
  const { names, fleetingCount } = claimsOf(placed, undefined);
  const count = names.length + fleetingCount;
  const message = `the manifests claim ${count} volumes, needs at most ${CLAIMS_MAX}`;
  return { taken: placed, warnings, complaints: count > CLAIMS_MAX ? [{ path: [], message }] : [] };
}

function withTidyTemplates(object: Fields, tidySpec: (spec: unknown) => Fields): Fields {
  const templates = at(object, TEMPLATES);
  if (templates === undefined) return object;
  const tidied = listOf(templates).map((template) => ({
    metadata: { name: nameIn(template) },
    spec: tidySpec(fieldsOf(template)["spec"]),
  }));
  return withAt(object, TEMPLATES, tidied);
}

/** Where a volume of a pod says what it claims for as long as the pod lives. */
const FLEETING = ["ephemeral", "volumeClaimTemplate", "spec"] as const;

function withTidyVolumes(object: Fields, tidySpec: (spec: unknown) => Fields): Fields {
  const path = volumesPath(object);
  if (fleetingOf(object).length === 0) return object;
  const volumes = listOf(at(object, path)).map((volume) =>
    isFleeting(volume) ? withAt(fieldsOf(volume), FLEETING, tidySpec(at(volume, FLEETING))) : volume,
  );
  return withAt(object, path, volumes);
}

function volumesPath({ kind }: Fields): readonly string[] {
  return [...(templatePath(textOf(kind) ?? "") ?? []), "spec", "volumes"];
}

function fleetingOf(object: Fields): unknown[] {
  return listOf(at(object, volumesPath(object))).filter(isFleeting);
}

function isFleeting(volume: unknown): boolean {
  return fieldsOf(volume)["ephemeral"] !== undefined;
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

/** The claims that there will be. */
export interface PlannedClaims {
  readonly names: readonly string[];
  /** Those that come and go with pods, under names that nobody knows before. */
  readonly fleetingCount: number;
}

/**
 * Says which claims there will be.
 *
 * @param entered manifest of the workload to be entered, which has one pod
 */
export function claimsOf(taken: readonly Taken[], entered: KubernetesObject | undefined): PlannedClaims {
  const each = taken.map(({ given, object }) => {
    const podCount = given === entered ? 1 : podsOf(object);
    return { names: namesOf(object, podCount), fleetingCount: fleetingOf(object).length * podCount };
  });
  return {
    names: each.flatMap(({ names }) => names),
    fleetingCount: each.reduce((total, { fleetingCount }) => total + fleetingCount, 0),
  };
}

/** As the controller of stateful sets makes them: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/ */
function namesOf(object: KubernetesObject, podCount: number): string[] {
  const { name } = object.metadata;
  if (object.kind === "PersistentVolumeClaim") return [name];
  const ordinals = Array.from({ length: podCount }, (_, ordinal) => ordinal);
  return listOf(at(object, TEMPLATES)).flatMap((template) =>
    ordinals.map((ordinal) => `${nameIn(template)}-${name}-${ordinal}`),
  );
}
