/**
 * Brings up the cluster of a test run with the project's images on it, and takes it down after. For the vitest projects `cluster`
 * and `cluster-<image>`, of which each calls it: the first brings the cluster up, the others find it.
 *
 * One that was there before (`KUBECONFIG`) is left as it is.
 *
 * @module
 */
import { existsSync, readdirSync } from "node:fs";
import type { TestProject } from "vitest/node";
import { endAnyCluster, openAnyCluster } from "./any-cluster.ts";
import { ensureImages } from "./ensure-images.ts";
import { CLUSTERS } from "./layout.ts";
import { takeDown } from "./open-cluster.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** File of the shared cluster. */
    kubeconfig: string;
    /** What the cluster beside it is called, which the first test that needs two makes. */
    secondCluster: string;
  }
}

/** Runs beside each other have a cluster each. Files run in other processes than this, and are told. */
const NAME = `test-${process.pid}`;
const SECOND = `${NAME}-two`;

/** Called by vitest before the first test. */
export async function setup(project: TestProject): Promise<void> {
  await takeDownAbandoned();
  const onStep = (text: string): void => void process.stderr.write(`${text}\n`);
  const cluster = await openAnyCluster({ name: NAME, env: process.env, onStep });
  try {
    await ensureImages(cluster);
  } catch (error) {
    onStep(String(error)); // the tests that need the image fail by themselves
  }
  project.provide("kubeconfig", cluster.kubeconfig);
  project.provide("secondCluster", SECOND);
}

/** Called by vitest after the last. */
export async function teardown(): Promise<void> {
  await endAnyCluster(NAME, process.env);
  await takeDown(SECOND);
}

/** Clusters of runs that were killed: the name has the run's process. */
async function takeDownAbandoned(): Promise<void> {
  for (const name of existsSync(CLUSTERS) ? readdirSync(CLUSTERS) : []) {
    const [, pid] = /^test-([0-9]+)(?:-two)?$/.exec(name) ?? [];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await takeDown(name);
  }
}
