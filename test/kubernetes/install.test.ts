import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

import type { Cluster } from "../cluster/open-cluster.ts";
import { sharedCluster } from "../cluster/shared-cluster.ts";
import { mustRun } from "../harness/program.ts";

const SLIP = join(import.meta.dirname, "../../src/cmd/slip.ts");
const space = `install-test-${randomBytes(3).toString("hex")}`;
const folder = mkdtempSync(join(tmpdir(), "slipway-install-"));
let cluster: Cluster;

beforeAll(async () => {
  cluster = await sharedCluster();
});

afterAll(async () => {
  const role = `slipway:${space}`;
  await cluster.kubectl("delete", "clusterrole,clusterrolebinding", role, "--ignore-not-found");
  await cluster.kubectl("delete", "namespace", space, "--ignore-not-found", "--wait=false");
  rmSync(folder, { recursive: true });
});

async function install(...more: string[]): Promise<string> {
  // ClusterIP: no load balancer is there to wait for.
  return mustRun([
    process.execPath,
    SLIP,
    "install",
    "kubernetes",
    "--namespace",
    space,
    "--service",
    "ClusterIP",
    ...more,
  ]);
}

test("slip install kubernetes --apply makes what it prints, and the server accepts every object of it", async () => {
  const applied = await install("--apply", "--kubeconfig", cluster.kubeconfig);
  expect(applied.trim().split("\n")).toEqual([
    `applied\tNamespace\t${space}`,
    "applied\tServiceAccount\tslipway",
    `applied\tClusterRole\tslipway:${space}`,
    `applied\tClusterRoleBinding\tslipway:${space}`,
    "applied\tConfigMap\tslipway-settings",
    "applied\tPersistentVolumeClaim\tslipway-state",
    "applied\tDeployment\tslipway",
    "applied\tService\tslipway",
    "applied\tNetworkPolicy\tslipway",
  ]);
  const apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"];
  expect(await cluster.kubectlWith(await install(), ...apply)).toMatch(/deployment.apps\/slipway serverside-applied/);
});

test("slip install kubernetes gives the service account every right that a check looks for", async () => {
  const can = ["auth", "can-i", "--as", `system:serviceaccount:${space}:slipway`, "--all-namespaces"];
  expect((await cluster.kubectl(...can, "create", "pods", "--subresource=exec")).trim()).toBe("yes");
  await expect(cluster.kubectl(...can, "create", "clusterroles")).rejects.toThrow(/no/);
});

test("slip install kubernetes --chart writes a chart over its own, and never into a folder of others", async () => {
  const chart = join(folder, "chart");
  await install("--chart", chart);
  await install("--chart", chart);
  expect(readFileSync(join(chart, "values.yaml"), "utf8")).toContain(`namespace: ${space}\n`);
  await expect(install("--chart", join(import.meta.dirname))).rejects.toThrow(/has other files than those of a chart/);
});
