/**
 * Looks at a cluster as `slip check --online` wants it seen: whether it answers, what we may not do there, and whether
 * what environments are made of is there. Changes nothing.
 *
 * Called by `cmd/`.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import type { ClusterSettings } from "../../wire/cluster-settings.ts";
import type { ObjectKind } from "../../wire/kubernetes.ts";
import type { ClusterApi, Permission } from "./api/cluster-api.ts";
import { statusOf } from "./api/server-status.ts";

/** One thing that was looked at. */
export interface ClusterFinding {
  readonly isGood: boolean;
  /** One sentence without full stop. */
  readonly text: string;
}

export interface ClusterInspection {
  readonly findings: readonly ClusterFinding[];
  readonly lacking: readonly Permission[];
  /** Who the cluster takes us for, where it said so: `system:serviceaccount:<namespace>:<name>`, or the name of a user. */
  readonly user?: string;
}

/** What an inspection uses of a cluster. */
export type InspectedApi = Pick<ClusterApi, "version" | "read" | "list" | "lacking">;

/** The oldest version that we are tried on. */
const OLDEST_MINOR = 20;

const storageClasses: ObjectKind = {
  ...{ apiVersion: "storage.k8s.io/v1", kind: "StorageClass" },
  ...{ resource: "storageclasses", isNamespaced: false },
};

const clusterRoles: ObjectKind = {
  ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole" },
  ...{ resource: "clusterroles", isNamespaced: false },
};

/** https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass */
const DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class";

/** Inspects one cluster. @throws {Fault} `cluster.*` when it does not answer, or not us */
export async function inspectCluster(
  api: InspectedApi,
  { settings, needed }: { readonly settings: ClusterSettings; readonly needed: readonly Permission[] },
  signal: AbortSignal,
): Promise<ClusterInspection> {
  const version = await api.version(signal);
  const isKnown = version.major === 1 && version.minor >= OLDEST_MINOR;
  const lacking = await api.lacking(needed, signal);
  const user = lacking.length === 0 ? undefined : await findUser(api, signal);
  const findings = [
    { isGood: isKnown, text: `${version.text} answers${isKnown ? "" : `, needs 1.${OLDEST_MINOR} or later`}` },
    ...lacking.map((permission) => ({ isGood: false, text: `may not ${wordsOf(permission)}` })),
    ...(lacking.length === 0 ? [{ isGood: true, text: `allows all ${needed.length} things that are needed` }] : []),
    await inspectStorage(api, settings, signal),
    { isGood: true, text: `takes images ${settings.images.toolbox} and ${settings.images.base}` },
  ];
  return { findings, lacking, ...(user === undefined ? {} : { user }) };
}

function wordsOf({ verb, group, resource, subresource, namespace }: Permission): string {
  const what = `${resource}${subresource === undefined ? "" : `/${subresource}`}${group === "" ? "" : `.${group}`}`;
  return `${verb} ${what}${namespace === undefined ? "" : ` in namespace ${namespace}`}`;
}

/**
 * Finds out who we are where only old servers may be asked: SelfSubjectReview is from 1.28. Whoever lacks a permission is
 * seldom allowed to read roles, and a refusal names them.
 */
async function findUser(api: InspectedApi, signal: AbortSignal): Promise<string | undefined> {
  try {
    await api.read({ of: clusterRoles, name: "slipway-who-is-it" }, signal);
    return undefined;
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "cluster.forbidden") throw error;
    // `responsewriters.Forbidden` of k8s.io/apiserver words it, with the name as Go quotes it.
    return /User "([^"\\]+)" cannot /.exec(statusOf(error)?.message ?? error.message)?.[1];
  }
}

async function inspectStorage(
  api: InspectedApi,
  { workspace }: ClusterSettings,
  signal: AbortSignal,
): Promise<ClusterFinding> {
  if (workspace.isEphemeral) return { isGood: true, text: "keeps no files of environments that sleep, as is set" };
  const { storageClass } = workspace;
  try {
    const found = await findStorageClass(api, storageClass, signal);
    if (found !== undefined) return { isGood: true, text: `has the storage class ${found}` };
    const text =
      storageClass === undefined
        ? "has no default storage class; needs workspace.storageClass, or workspace.ephemeral: true"
        : `has no storage class ${storageClass}`;
    return { isGood: false, text };
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "cluster.forbidden") throw error;
    // Environments do without this right.
    return { isGood: true, text: "does not let us look at storage classes, so whether there is one is not known" };
  }
}

async function findStorageClass(
  api: InspectedApi,
  name: string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (name !== undefined) return (await api.read({ of: storageClasses, name }, signal))?.metadata.name;
  const all = await api.list(storageClasses, {}, signal);
  return all.find(({ metadata }) => metadata.annotations?.[DEFAULT_CLASS] === "true")?.metadata.name;
}
