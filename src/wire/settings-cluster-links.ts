/**
 * What the clusters and pools of `slipway.yaml` must have to do with each other, and with people and repositories.
 *
 * Called by `settings-links.ts` alone, on files with other faults too.
 *
 * @module
 */
import { z } from "zod";
import { meantBy } from "../base/nearest.ts";

type Complain = (path: (string | number)[], message: string) => void;

/** Names come into labels, metrics and lines of the lobby. */
const NAME = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;
const NAME_NEEDS = 'needs a name of lower-case letters, digits and "-", a letter or digit first and last, at most 32';

const text = z.string().optional().catch(undefined);
const count = z.number().optional().catch(undefined);

/** As much of it as is checked here; what has another shape was complained of and counts as absent. */
const Outline = z
  .object({
    people: z.record(z.string(), z.unknown()).catch({}),
    forges: z.record(z.string(), z.unknown()).catch({}),
    repositories: z.record(z.string(), z.unknown()).catch({}),
    clusters: z
      .record(
        z.string(),
        z
          .object({
            kubeconfig: text,
            inCluster: z.unknown().optional(),
            context: text,
            capacity: count,
            namespacePrefix: text,
            people: z.array(text).catch([]),
            workspace: z.object({ storageClass: text, ephemeral: z.unknown().optional() }).optional().catch(undefined),
            podSecurity: text,
            runAsUser: count,
            path: text,
          })
          .nullable()
          .catch(null),
      )
      .catch({}),
    pools: z
      .record(
        z.string(),
        z
          .object({
            repository: text,
            cluster: text,
            size: count,
            schedule: z.array(z.object({ size: count }).catch({})).catch([]),
          })
          .nullable()
          .catch(null),
      )
      .catch({}),
  })
  .catch({ people: {}, forges: {}, repositories: {}, clusters: {}, pools: {} });

type Outline = z.infer<typeof Outline>;
type ClusterOutline = NonNullable<Outline["clusters"][string]>;

/** Complains of what is wrong with clusters and pools, whatever else is wrong with the file. */
export function checkClusterLinks(value: unknown, complain: Complain): void {
  const outline = Outline.parse(value);
  for (const field of ["clusters", "pools"] as const) {
    for (const name of Object.keys(outline[field])) if (!NAME.test(name)) complain([field, name], NAME_NEEDS);
  }
  for (const [name, cluster] of Object.entries(outline.clusters)) {
    if (cluster !== null) checkCluster(name, cluster, complain);
  }
  checkPeople(outline, complain);
  checkSameClusters(outline, complain);
  checkPools(outline, complain);
  checkCapacity(outline, complain);
}

function checkCluster(name: string, cluster: ClusterOutline, complain: Complain): void {
  const path = ["clusters", name];
  const { kubeconfig, inCluster, context, workspace, podSecurity, runAsUser, path: way } = cluster;
  if (kubeconfig === undefined && inCluster === undefined) complain(path, "needs kubeconfig or inCluster: true");
  if (kubeconfig !== undefined && inCluster !== undefined) {
    complain(path, "needs one of kubeconfig and inCluster, has both");
  }
  if (kubeconfig === undefined && context !== undefined) {
    complain([...path, "context"], "is for a kubeconfig, which is not here");
  }
  if (way === "podIP" && inCluster === undefined) {
    complain([...path, "path"], "needs inCluster: true: from elsewhere nobody is let in to pods");
  }
  if (workspace?.ephemeral === true && workspace.storageClass !== undefined) {
    complain([...path, "workspace", "storageClass"], "is for volumes, and an ephemeral workspace has none");
  }
  if (runAsUser === 0 && podSecurity !== "baseline") {
    complain([...path, "runAsUser"], "needs podSecurity: baseline: restricted lets nothing run as root");
  }
}

function checkPeople({ people, clusters }: Outline, complain: Complain): void {
  for (const [name, cluster] of Object.entries(clusters)) {
    for (const [at, person] of (cluster?.people ?? []).entries()) {
      if (person === undefined || Object.hasOwn(people, person)) continue;
      complain(["clusters", name, "people", at], `"${person}" is not under people${hint(person, people)}`);
    }
  }
}

/** Under two names with one prefix each would count, watch and clean up the other's namespaces. */
function checkSameClusters({ clusters }: Outline, complain: Complain): void {
  const seen: { name: string; at: string; prefix: string }[] = [];
  for (const [name, cluster] of Object.entries(clusters)) {
    if (cluster === null) continue;
    const { kubeconfig, context, inCluster, namespacePrefix: prefix = "slipway-" } = cluster;
    if (kubeconfig === undefined && inCluster === undefined) continue;
    const at = JSON.stringify(inCluster === true ? [] : [kubeconfig, context]);
    const same = seen.find(
      (other) => other.at === at && (other.prefix.startsWith(prefix) || prefix.startsWith(other.prefix)),
    );
    if (same === undefined) seen.push({ name, at, prefix });
    else complain(["clusters", name], `is the same cluster as ${same.name}, needs a namespacePrefix of its own`);
  }
}

function checkPools({ pools, clusters, repositories, forges }: Outline, complain: Complain): void {
  const first = new Map<string, string>();
  for (const [name, pool] of Object.entries(pools)) {
    if (pool === null) continue;
    const { repository, cluster } = pool;
    if (Object.keys(clusters).length === 0) {
      complain(["pools", name], "needs clusters: the sandbox of this machine keeps no pools, it is as fast without");
    } else if (cluster !== undefined && !Object.hasOwn(clusters, cluster)) {
      complain(["pools", name, "cluster"], `"${cluster}" is not under clusters${hint(cluster, clusters)}`);
    }
    if (repository === undefined) continue;
    const isForges = repository.includes("/") && Object.keys(forges).length > 0;
    if (!Object.hasOwn(repositories, repository) && !isForges) {
      const message = `"${repository}" is not under repositories${hint(repository, repositories)}`;
      complain(["pools", name, "repository"], message);
    }
    const kept = JSON.stringify([repository, cluster]);
    const other = first.get(kept);
    if (other === undefined) first.set(kept, name);
    else complain(["pools", name], `is for the same repository and cluster as ${other}, needs to be one with it`);
  }
}

/** A pool that fills a cluster would leave no place for those who come to claim. */
function checkCapacity({ pools, clusters }: Outline, complain: Complain): void {
  for (const [name, cluster] of Object.entries(clusters)) {
    const capacity = cluster?.capacity ?? 100;
    const kept = Object.values(pools).filter((pool) => pool !== null && pool.cluster === name);
    const most = kept.reduce((sum, pool) => {
      return sum + Math.max(pool?.size ?? 5, ...(pool?.schedule ?? []).map(({ size = 0 }) => size));
    }, 0);
    if (most <= capacity) continue;
    complain(["clusters", name, "capacity"], `is ${capacity}, and its pools alone may have ${most} environments`);
  }
}

function hint(word: string, known: Readonly<Record<string, unknown>>): string {
  const meant = meantBy(word, Object.keys(known));
  return meant === undefined ? "" : `; did you mean "${meant}"?`;
}
