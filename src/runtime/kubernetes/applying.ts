/**
 * Applies objects to a cluster, and removes those that were applied before and are planned no more.
 *
 * Called by `starting.ts`.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import { kinds, type KubernetesObject, type ObjectKind } from "../../wire/kubernetes.ts";
import { statusOf } from "./api/server-status.ts";
import { type Cluster, namespaceName } from "./cluster.ts";
import type { AppliedObject } from "./kept.ts";
import { wakingPatch } from "./resting.ts";

/**
 * Applies them all at the same time, and tells the first that cannot be. What is there and cannot be made what is planned now
 * stays as it is.
 *
 * @returns what stays so, one sentence each
 */
export async function applyAll(
  cluster: Pick<Cluster, "api" | "settings">,
  objects: readonly KubernetesObject[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const results = await Promise.allSettled(objects.map((object) => applyOne(cluster, object, signal)));
  return results.flatMap((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value ?? [];
  });
}

async function applyOne(
  cluster: Pick<Cluster, "api" | "settings">,
  object: KubernetesObject,
  signal: AbortSignal,
): Promise<string | undefined> {
  const of = await kindOf(cluster, object, signal);
  try {
    await cluster.api.apply(of, object, signal);
    return undefined;
  } catch (error) {
    if (!isUnchangeable(error)) throw error;
    const { name, namespace } = object.metadata;
    const ref = { of, name, ...(namespace === undefined ? {} : { namespace }) };
    // One that changes nothing says whether it is there, and needs no right to read it.
    if ((await cluster.api.merge(ref, wakingPatch(object) ?? {}, signal)) === undefined) throw error;
    const fields = new Set(statusOf(error)?.causes.flatMap(({ field }) => field ?? []));
    const what = fields.size === 0 ? "that" : [...fields].join(" and ");
    return `${of.kind} ${name} keeps its old form: a cluster does not let ${what} be changed`;
  }
}

/**
 * Whether what a server says of a change is that the object's kind does not allow it. Its words:
 * `field is immutable` of apimachinery's `validation.FieldImmutableErrorMsg`; `updates to statefulset spec for fields other than`
 * of apps/validation; `may not change once set`, `spec is immutable after creation` and `can not be less than` of core/validation;
 * `only dynamically provisioned pvc can be resized` of the admission plugin PersistentVolumeClaimResize.
 */
function isUnchangeable(error: unknown): boolean {
  const { code, message = "", causes = [] } = statusOf(error) ?? {};
  // Of a whole template, which is quoted before that, the message is cut.
  const said = [message, ...causes.map((cause) => cause.message ?? "")];
  return (code === 422 || code === 403) && said.some((text) => UNCHANGEABLE.test(text));
}

const UNCHANGEABLE =
  /is immutable|may not change once set|updates to statefulset spec|can ?not be less than previous|only dynamically provisioned pvc/;

/** How objects are remembered, to be removed once they are planned no more; and claims, which are not. */
export function appliedOf(objects: readonly KubernetesObject[], claims: readonly string[] = []): AppliedObject[] {
  const applied = objects.map(({ apiVersion, kind, metadata: { name } }) => ({ apiVersion, kind, name }));
  const known = new Set(claimNamesOf(applied));
  const { apiVersion, kind } = kinds.volumeClaim;
  return [...applied, ...claims.filter((name) => !known.has(name)).map((name) => ({ apiVersion, kind, name }))];
}

/** Names of the volume claims among them. */
export function claimNamesOf(applied: readonly AppliedObject[]): string[] {
  return applied.filter(isClaim).map(({ name }) => name);
}

function isClaim({ kind }: AppliedObject): boolean {
  return kind === kinds.volumeClaim.kind;
}

/** Those of `before` that are not among `now`; one of another version of its group is the same. */
export function droppedOf(before: readonly AppliedObject[], now: readonly AppliedObject[]): AppliedObject[] {
  const planned = new Set(now.map(keyOf));
  return before.filter((one) => !planned.has(keyOf(one)));
}

function keyOf({ apiVersion, kind, name }: AppliedObject): string {
  return `${apiVersion.includes("/") ? apiVersion.split("/")[0] : ""}/${kind}/${name}`;
}

/**
 * Removes what is planned no more, but volume claims, which have files in them. Can be done again.
 *
 * @returns the claims that stay, one sentence each
 */
export async function removeDropped(
  cluster: Pick<Cluster, "api" | "settings">,
  { id, dropped }: { readonly id: string; readonly dropped: readonly AppliedObject[] },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const namespace = namespaceName(cluster, id);
  await Promise.all(
    dropped.map(async (one) => {
      const of = isClaim(one) ? undefined : await findKind(cluster, one, signal);
      if (of !== undefined) await cluster.api.remove({ of, namespace, name: one.name }, {}, signal);
    }),
  );
  return claimNamesOf(dropped).map((name) => `the volume claim ${name} is kept, though nothing defines it any more`);
}

/** But what not every server has that we run on. */
const known = new Map<string, ObjectKind>(
  Object.values(kinds)
    .filter((kind) => kind !== kinds.cronJob)
    .map((kind) => [`${kind.apiVersion} ${kind.kind}`, kind]),
);

async function findKind(
  { api }: Pick<Cluster, "api">,
  { apiVersion, kind }: Pick<KubernetesObject, "apiVersion" | "kind">,
  signal: AbortSignal,
): Promise<ObjectKind | undefined> {
  return known.get(`${apiVersion} ${kind}`) ?? (await api.findKind(apiVersion, kind, signal));
}

async function kindOf(
  cluster: Pick<Cluster, "api" | "settings">,
  object: KubernetesObject,
  signal: AbortSignal,
): Promise<ObjectKind> {
  const { apiVersion, kind } = object;
  const { settings } = cluster;
  const found = await findKind(cluster, object, signal);
  if (found !== undefined) return found;
  throw new Fault(
    "cluster.refused",
    `Cannot apply a ${kind} of ${apiVersion}: cluster ${settings.name} has no such kind`,
    {
      told: `the cluster ${settings.name} knows no ${kind} of ${apiVersion}`,
    },
  );
}
