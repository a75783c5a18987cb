/**
 * From what the settings say of a cluster to a client of it.
 *
 * Called by the commands of `slip` that talk to clusters. A service opens them in `clusters.ts`.
 *
 * @module
 */
import { resolve } from "node:path";
import { makeClock } from "../base/clock.ts";
import { makeLog } from "../base/log.ts";
import type { ClusterApi } from "../runtime/kubernetes/api/cluster-api.ts";
import { inClusterAccess } from "../runtime/kubernetes/api/in-cluster.ts";
import { readKubeconfig } from "../runtime/kubernetes/api/kubeconfig.ts";
import { openClusterApi } from "../runtime/kubernetes/api/open-cluster-api.ts";
import type { ClusterSettings } from "../wire/cluster-settings.ts";

export interface ClusterSurroundings {
  /** What paths are relative to: the folder of the settings file. */
  readonly folder: string;
  /** Variables of the process. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Opens a client. @throws {Fault} `settings.invalid` when it is not known how the cluster is reached */
export async function openCluster(
  { name, access, requestRate }: Pick<ClusterSettings, "name" | "access" | "requestRate">,
  { folder, env }: ClusterSurroundings,
): Promise<ClusterApi> {
  const resolved =
    access.type === "in-cluster"
      ? inClusterAccess({ host: env["KUBERNETES_SERVICE_HOST"], port: env["KUBERNETES_SERVICE_PORT"] })
      : await readKubeconfig({
          path: resolve(folder, access.path),
          env: setOnly(env),
          ...(access.context === undefined ? {} : { context: access.context }),
        });
  return openClusterApi({ name, access: resolved, requestRate, clock: makeClock(), log: makeLog("silent") });
}

function setOnly(env: ClusterSurroundings["env"]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, value]])),
  );
}
