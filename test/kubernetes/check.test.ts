import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

import { neededPermissions } from "../../src/policy/kubernetes/needed-permissions.ts";
import type { Cluster } from "../cluster/open-cluster.ts";
import { sharedCluster } from "../cluster/shared-cluster.ts";
import { type Ended, run } from "../harness/program.ts";
import { writeKubeconfig } from "./least-rights.ts";

const SLIP = join(import.meta.dirname, "../../src/cmd/slip.ts");
const space = `check-test-${randomBytes(3).toString("hex")}`;
const folder = mkdtempSync(join(tmpdir(), "slipway-check-"));
/** Names of cluster roles that have to be removed again. */
const roles = new Set([space]);
let cluster: Cluster;

/** What a service account gets that lacks two rules. */
const allowed = neededPermissions().filter(
  ({ verb, resource, subresource }) =>
    !(verb === "create" && subresource === "exec") && !(verb === "patch" && resource === "networkpolicies"),
);

beforeAll(async () => {
  cluster = await sharedCluster();
  await writeKubeconfig(join(folder, "slip.kubeconfig"), { name: space, permissions: allowed });
  const view = await cluster.kubectl("config", "view", "--raw", "--minify", "--flatten");
  const away = view.replace(/^(\s*server:).*$/m, "$1 https://127.0.0.1:1");
  writeFileSync(join(folder, "away.kubeconfig"), away, { mode: 0o600 });
});

afterAll(async () => {
  for (const name of roles)
    await cluster.kubectl("delete", "clusterrole,clusterrolebinding", name, "--ignore-not-found");
  await cluster.kubectl("delete", "namespace", space, "--wait=false");
  rmSync(folder, { recursive: true });
});

/** Runs `slip check --online` on one cluster, in the words that a person types. */
async function check(cluster: string, ...more: string[]): Promise<Ended> {
  // Made by ssh-keygen for this test.
  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFcpgSUxGTThhBc9djYebg8SMb7LCfeqooD98GfrJxHt";
  const settings = `version: 1\npeople: { ada: { keys: ["${key}"] } }\nclusters: { west: ${cluster} }\n`;
  writeFileSync(join(folder, "slipway.yaml"), settings);
  return run([process.execPath, SLIP, "check", "--online", ...more], { cwd: folder, timeoutMs: 60_000 });
}

test("slip check --online prints the role that is missing, and is content once it was applied", async () => {
  const west = "{ kubeconfig: slip.kubeconfig, workspace: { ephemeral: true } }";
  const before = await check(west);
  expect(before.stderr).toMatch(/^slip: Cannot serve all of slipway\.yaml: 2 of 5 findings are missing$/m);
  expect(before.exitCode).toBe(1);
  const [rows = "", role = ""] = before.stdout.split("\n\n");
  expect(rows.split("\n").map((row) => row.replace(/v1\.\S+/, "v1"))).toEqual([
    "west\tok\tv1 answers",
    "west\tmissing\tmay not create pods/exec",
    "west\tmissing\tmay not patch networkpolicies.networking.k8s.io",
    "west\tok\tkeeps no files of environments that sleep, as is set",
    "west\tok\ttakes images slipway/toolbox:0.1.0 and debian:bookworm-slim",
  ]);
  expect(role).toContain(`  - kind: ServiceAccount\n    name: slip\n    namespace: ${space}\n`);
  roles.add(/slipway:missing-\w+/.exec(role)?.[0] ?? "");
  await cluster.kubectlWith(role, "apply", "-f", "-");

  const after = await check(west);
  expect(after.stderr).toBe("");
  expect(after.stdout).toMatch(/^west\tok\tallows all \d+ things that are needed$/m);
  expect(after.stdout).toMatch(/^slipway\.yaml is sound: 1 people, 0 repositories, 1 cluster$/m);
  expect(after.exitCode).toBe(0);
});

test("slip check --online --json has the missing role beside the findings", async () => {
  const { stdout } = await check("{ kubeconfig: away.kubeconfig }", "--json");
  expect(JSON.parse(stdout)).toMatchObject({ clusters: 1, pools: 0, findings: [{ cluster: "west", isGood: false }] });
});

test("slip check --online says in a sentence that a cluster does not answer", async () => {
  const { stdout, exitCode } = await check("{ kubeconfig: away.kubeconfig }");
  expect(stdout).toMatch(/^west\tmissing\tCannot get version on cluster "west": .*ECONNREFUSED.*\n$/);
  expect(exitCode).toBe(1);
});

test("slip check --online knows whether the cluster has the storage class", async () => {
  const kubeconfig = JSON.stringify(cluster.kubeconfig);
  const { stdout } = await check(`{ kubeconfig: ${kubeconfig}, workspace: { storageClass: no-such-class } }`);
  expect(stdout).toMatch(/^west\tmissing\thas no storage class no-such-class$/m);
});
