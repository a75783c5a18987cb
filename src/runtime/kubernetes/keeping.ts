/**
 * Writes on the namespace of an environment what is kept of it, unless a newer operation has written there; and says whether
 * it is ours to destroy. Of two services that take themselves for the same one, neither undoes what the other did last.
 *
 * The namespace is written before anything in it. Each write is for the very state that was looked at
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions), so that nothing comes between.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import { LABELS } from "../../policy/kubernetes/labels.ts";
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import type { EnvironmentSpec } from "../runtime.ts";
import { statusOf } from "./api/server-status.ts";
import { type Cluster, namespaceName } from "./cluster.ts";
import { type Kept, KEPT_ANNOTATION, readKept, withKept } from "./kept.ts";

/** How long to wait until what was written is seen. */
const SEEN_MS = 5_000;

/** Makes the namespace, or makes it what is planned now. @throws {Fault} `environment.overtaken` */
export async function applyNamespace(
  cluster: Cluster,
  planned: KubernetesObject,
  kept: Kept,
  signal: AbortSignal,
): Promise<KubernetesObject> {
  const object = withKept(planned, { ...kept, run: cluster.runs.current });
  const write = async (metadata: Version): Promise<KubernetesObject> =>
    cluster.api.apply(kinds.namespace, { ...object, metadata: { ...object.metadata, ...metadata } }, signal);
  return fenced(cluster, kept.spec, write, signal);
}

/**
 * Writes what is kept of an environment that is there already, and waits until we see it ourselves.
 *
 * @throws {Fault} `environment.overtaken`, or `environment.gone` when there is none
 */
export async function keepOf(cluster: Cluster, id: string, kept: Kept, signal: AbortSignal): Promise<void> {
  const ref = { of: kinds.namespace, name: namespaceName(cluster, id) };
  const annotations = { [KEPT_ANNOTATION]: JSON.stringify({ ...kept, run: cluster.runs.current }) };
  const write = async (metadata: Version): Promise<KubernetesObject> => {
    const written = await cluster.api.merge(ref, { metadata: { annotations, ...metadata } }, signal);
    if (written !== undefined) return written;
    throw new Fault("environment.gone", `Cannot note what is kept of ${id}: its namespace is gone`);
  };
  await untilWritten(cluster, await fenced(cluster, kept.spec, write, signal), signal);
}

/** Waits until what was written is seen, so that whoever looks next does not find what was there before. */
export async function untilWritten(
  { namespaces }: Pick<Cluster, "namespaces">,
  { metadata }: KubernetesObject,
  signal: AbortSignal,
): Promise<void> {
  const text = metadata.annotations?.[KEPT_ANNOTATION];
  const isSeen = (): true | undefined =>
    namespaces.find(undefined, metadata.name)?.metadata.annotations?.[KEPT_ANNOTATION] === text || undefined;
  const late = AbortSignal.timeout(SEEN_MS);
  await namespaces.until(isSeen, AbortSignal.any([signal, late])).catch((error: unknown) => {
    if (!late.aborted) throw error; // the stream is down, or somebody else wrote: what is seen will be right again
  });
}

interface Version {
  readonly resourceVersion?: string;
}

async function fenced(
  cluster: Cluster,
  spec: EnvironmentSpec,
  write: (metadata: Version) => Promise<KubernetesObject>,
  signal: AbortSignal,
): Promise<KubernetesObject> {
  const name = namespaceName(cluster, spec.id);
  let there = cluster.namespaces.find(undefined, name);
  for (let tryCount = 1; ; tryCount += 1) {
    mustBeNewest(cluster, there, spec);
    const { resourceVersion } = there?.metadata ?? {};
    try {
      return await write(resourceVersion === undefined ? {} : { resourceVersion });
    } catch (error) {
      if (tryCount >= triesFor(error)) throw error;
      there = await cluster.api.read({ of: kinds.namespace, name }, signal);
    }
  }
}

/** Others write on namespaces too, as the controllers of the cluster do; and of a lost answer nobody knows what was done. */
function triesFor(error: unknown): number {
  if (statusOf(error)?.code === 409) return 5;
  return error instanceof Fault && error.code === "cluster.unreached" ? 2 : 1;
}

/** @throws {Fault} `environment.overtaken` when the namespace was written by a newer operation, or as new a one of another service */
function mustBeNewest(
  { runs }: Cluster,
  namespace: KubernetesObject | undefined,
  { id, generation }: EnvironmentSpec,
): void {
  if (namespace === undefined) return;
  const { there, run, isOthers } = writerOf(runs, namespace);
  if (there > generation || (there === generation && isOthers)) throw overtaken(id, { there, run }, generation);
}

/**
 * What another service wrote last is not ours to destroy at any generation: that of a copied database grows by itself, with
 * each look of a service at what it takes for its own.
 *
 * @throws {Fault} `environment.overtaken` when another service, or a newer operation of ours, wrote it last
 */
export function mustBeOurs(
  { runs }: Pick<Cluster, "runs">,
  namespace: KubernetesObject,
  { id, generation = Number.POSITIVE_INFINITY }: { readonly id: string; readonly generation?: number | undefined },
): void {
  const { there, run, isOthers } = writerOf(runs, namespace);
  if (there > generation || isOthers) throw overtaken(id, { there, run }, generation);
}

interface Writer {
  /** Its generation. */
  readonly there: number;
  readonly run: string | undefined;
}

function writerOf(runs: Cluster["runs"], namespace: KubernetesObject): Writer & { readonly isOthers: boolean } {
  const { run } = readKept(namespace);
  const there = Number(namespace.metadata.labels?.[LABELS.generation] ?? 0);
  return { there, run, isOthers: run !== undefined && !runs.all.has(run) };
}

function overtaken(id: string, { there, run }: Writer, generation: number): Fault {
  const ours = Number.isFinite(generation) ? `, ours is ${generation}` : "";
  return new Fault("environment.overtaken", `Cannot go on with ${id}: run ${run} is at generation ${there}${ours}`, {
    told: "another Slipway service has gone on with this environment; an administrator has to stop one of them",
  });
}
