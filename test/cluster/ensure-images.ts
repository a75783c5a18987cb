/**
 * Puts the project's images on a cluster, each once for what it was built of.
 *
 * @module
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildImage, listRecipes } from "./images/build-image.ts";
import type { Cluster } from "./open-cluster.ts";

/**
 * Builds the images of these names, by default all of `images/`, and imports those that the cluster has not been given yet.
 * Returns what they are called there. A cluster that is not ours has to have them already.
 *
 * @throws {AggregateError} when all were tried and some could not be built or imported
 */
export async function ensureImages(cluster: Cluster, names = listRecipes()): Promise<Record<string, string>> {
  // Beside the kubeconfig: with a cluster goes what it was given. An archive's name has the hash of all it was made of.
  const list = join(dirname(cluster.kubeconfig), "imported");
  const refs: Record<string, string> = {};
  const failures: Error[] = [];
  for (const name of names) {
    try {
      const { ref, tarPath } = await buildImage(name);
      refs[name] = ref;
      const imported = existsSync(list) ? readFileSync(list, "utf8").split("\n") : [];
      if (cluster.importImage === undefined || imported.includes(tarPath)) continue;
      await cluster.importImage(tarPath);
      appendFileSync(list, `${tarPath}\n`);
    } catch (cause) {
      failures.push(new Error(`Cannot put image ${name} on the cluster: ${String(cause)}`, { cause }));
    }
  }
  if (failures.length === 0) return refs;
  throw new AggregateError(failures, failures.map(({ message }) => message).join("\n"));
}
