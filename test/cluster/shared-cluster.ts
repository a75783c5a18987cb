/**
 * The cluster that the tests of the vitest project `cluster` share.
 *
 * @module
 */
import { inject } from "vitest";
import { findOwnBy, openAnyCluster } from "./any-cluster.ts";
import type { Cluster, TestCluster } from "./open-cluster.ts";

/** The cluster of this run, which `global-setup.ts` has brought up. Tests use namespaces of their own in it. */
export async function sharedCluster(): Promise<Cluster> {
  const env = { KUBECONFIG: inject("kubeconfig") };
  return openAnyCluster({ name: "given", env, onStep: () => {} });
}

/** The same when it is one that we made, whose parts may be killed; `undefined` of others. */
export function breakableCluster(): TestCluster | undefined {
  return findOwnBy(inject("kubeconfig"));
}
