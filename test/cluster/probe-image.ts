/**
 * An image with a shell for the tests of the cluster itself: bash, which looks names up as most programs do, and busybox.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestCluster } from "./open-cluster.ts";
import { copyProgram, copyWithLibraries } from "./own-images.ts";
import { packImage } from "./pack-image.ts";

export const PROBE_IMAGE = "slipway.test/probe:1";

/** Puts the image on the cluster's node. */
export async function importProbe(cluster: TestCluster): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "slipway-probe-"));
  try {
    const root = join(folder, "root");
    mkdirSync(root);
    await copyWithLibraries("/bin/bash", root);
    copyProgram("/bin/busybox", join(root, "bin/busybox"));
    const archive = join(folder, "probe.tar");
    await packImage({ ref: PROBE_IMAGE, root, command: ["/bin/busybox", "sleep", "2147483647"], archive });
    await cluster.importImage(archive);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
