/**
 * The cluster that the tests are given: the one of `KUBECONFIG`, else the one that `test/cluster/global-setup.ts` brought up.
 *
 * @module
 */
import { inject } from "vitest";

import { makeClock } from "../../src/base/clock.ts";
import type { ClusterApi } from "../../src/runtime/kubernetes/api/cluster-api.ts";
import { readKubeconfig } from "../../src/runtime/kubernetes/api/kubeconfig.ts";
import { openClusterApi } from "../../src/runtime/kubernetes/api/open-cluster-api.ts";
import { recordingLog } from "../fakes/recording-log.ts";

/** Path of its kubeconfig file. */
export function kubeconfigPath(): string {
  const given = process.env["KUBECONFIG"] ?? "";
  return given === "" ? inject("kubeconfig") : given;
}

/** Opens a client of it, as whoever the file says. */
export async function openApi(path = kubeconfigPath()): Promise<ClusterApi> {
  const access = await readKubeconfig({ path, env: process.env });
  const requestRate = { perSecond: 500, burst: 500 };
  return openClusterApi({ name: "test", access, requestRate, clock: makeClock(), log: recordingLog().log });
}
