/**
 * Brings up the cluster of a test run with the project's images on it, and takes it down after. For the vitest project `cluster` alone.
 *
 * One that was there before (`KUBECONFIG`) is left as it is.
 *
 * @module
 */
import type { TestProject } from "vitest/node";
import { endAnyCluster, openAnyCluster } from "./any-cluster.ts";
import { ensureImages } from "./ensure-images.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** File of the shared cluster. */
    kubeconfig: string;
  }
}

const NAME = "test";

/** Called by vitest before the first test. */
export async function setup(project: TestProject): Promise<void> {
  const onStep = (text: string): void => void process.stderr.write(`${text}\n`);
  const cluster = await openAnyCluster({ name: NAME, env: process.env, onStep });
  try {
    await ensureImages(cluster);
  } catch (error) {
    onStep(String(error)); // the tests that need the image fail by themselves
  }
  project.provide("kubeconfig", cluster.kubeconfig);
}

/** Called by vitest after the last. */
export async function teardown(): Promise<void> {
  await endAnyCluster(NAME, process.env);
}
