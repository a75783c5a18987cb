/**
 * The cluster that rows are measured on, and a Slipway on it with one environment that is there and warm.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { makeClock } from "../../src/base/clock.ts";
import { makeLog } from "../../src/base/log.ts";
import type { ClusterApi } from "../../src/runtime/kubernetes/api/cluster-api.ts";
import { readKubeconfig } from "../../src/runtime/kubernetes/api/kubeconfig.ts";
import { openClusterApi } from "../../src/runtime/kubernetes/api/open-cluster-api.ts";
import { kinds } from "../../src/wire/kubernetes.ts";
import { endAnyCluster, openAnyCluster } from "../../test/cluster/any-cluster.ts";
import { ensureImages } from "../../test/cluster/ensure-images.ts";
import { type Client, HOST } from "../../test/harness/client.ts";
import { mustRun, plainEnv, run } from "../../test/harness/program.ts";
import type { TestService } from "../../test/harness/service.ts";
import { type ClusterAccess, type ClusterService, openClusterService } from "./cluster-service.ts";
import { untilSo } from "./until-so.ts";

export interface ClusterBench extends ClusterAccess {
  /** Whether to be done soon rather than exact. */
  readonly isQuick: boolean;
  /** What it is, one line each. */
  readonly about: readonly string[];
  readonly service: TestService;
  readonly client: Client;
  /** `user@host` of the environment that is there. */
  readonly destination: string;
  /** Its pod, for baselines. */
  readonly pod: { readonly namespace: string; readonly pod: string; readonly container: string };
  /** A namespace for pods of baselines. */
  readonly namespace: string;
  readonly image: string;
  /** Words that run kubectl on this cluster. */
  readonly kubectl: (...args: readonly string[]) => readonly string[];
}

/** Branches of `many` on the cluster that nothing has connected to: `new-0` and up. */
export const CLUSTER_BRANCH_COUNT = 10;

const NAME = `bench-${process.pid}`;
const IMAGE = "slipway/sample:test";
const READY_MS = 120_000;

/** Says why nothing can be measured on a cluster, or `undefined` when it can. */
export function whyNoCluster(env: NodeJS.ProcessEnv): string | undefined {
  if ((env["KUBECONFIG"] ?? "") !== "" || env["SLIPWAY_TEST_CLUSTER"] === "build") return undefined;
  return "no cluster: `KUBECONFIG` names one, `SLIPWAY_TEST_CLUSTER=build` brings one up";
}

/** Opens it; what it makes goes with it. */
export async function openClusterBench(
  env: NodeJS.ProcessEnv,
  isQuick: boolean,
): Promise<ClusterBench & AsyncDisposable> {
  await using parts = new AsyncDisposableStack();
  // Our client of the cluster keeps no process alive.
  const held = setInterval(() => {}, 60_000);
  parts.defer(() => clearInterval(held));
  const onStep = (text: string): void => void process.stderr.write(`${text}\n`);
  const isOwn = (env["KUBECONFIG"] ?? "") === "";
  const cluster = await openAnyCluster({ name: NAME, env, onStep });
  if (isOwn) parts.defer(() => endAnyCluster(NAME, env));
  await ensureImages(cluster, ["toolbox", "sample"]);
  const { kubeconfig } = cluster;
  const access = await readKubeconfig({ path: kubeconfig, env });
  const requestRate = { perSecond: 1_000, burst: 1_000 };
  const clock = makeClock();
  const api = parts.use(await openClusterApi({ name: "bench", access, requestRate, clock, log: makeLog("silent") }));
  const reached = { kubeconfig, access, api, isOwn };
  const kubectl = (...args: readonly string[]): string[] => ["kubectl", `--kubeconfig=${kubeconfig}`, ...args];
  const namespace = await makeNamespace(api, parts);
  const branches = Array.from({ length: CLUSTER_BRANCH_COUNT }, (_, number) => `new-${number}`);
  const opened = parts.use(await openClusterService(reached, { branches: [...branches, "requests"] }));
  const { service } = opened;
  const client = service.as("ada");
  const destination = `many-main@${HOST}`;
  const { exitCode, stderr } = await client.ssh([destination, "true"], { timeoutMs: READY_MS });
  if (exitCode !== 0) throw new Error(`Cannot measure on the cluster: a first connection failed: ${stderr}`);
  const bench: ClusterBench = {
    ...reached,
    ...{ isQuick, service, client, destination, kubectl, namespace, image: IMAGE },
    about: await describeCluster(api, kubectl),
    pod: { namespace: namespaceOf(opened, "many-main"), pod: "main", container: "main" },
  };
  const owned = parts.move();
  return { ...bench, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function makeNamespace(api: ClusterApi, parts: AsyncDisposableStack): Promise<string> {
  const name = `bench-${randomBytes(3).toString("hex")}`;
  const signal = AbortSignal.timeout(READY_MS);
  await api.create(kinds.namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name } }, signal);
  parts.defer(async () => {
    await api.remove({ of: kinds.namespace, name }, {}, AbortSignal.timeout(READY_MS));
  });
  const account = { of: kinds.serviceAccount, namespace: name, name: "default" };
  const isThere = async (): Promise<boolean> => (await api.read(account, signal)) !== undefined;
  await untilSo("the default service account", isThere, { waitMs: READY_MS });
  return name;
}

/** Finds the namespace of a login's environment. */
function namespaceOf({ service, namespacePrefix }: ClusterService, login: string): string {
  const id = service.events("environment.added").find((event) => event["login"] === login)?.["environment"];
  if (typeof id !== "string") throw new Error(`Cannot find the namespace of ${login}: it was not added`);
  return `${namespacePrefix}${id}`;
}

async function describeCluster(api: ClusterApi, kubectl: ClusterBench["kubectl"]): Promise<string[]> {
  const version = await api.version(AbortSignal.timeout(READY_MS));
  const nodes = await mustRun(kubectl("get", "nodes", "--no-headers"));
  const { stdout } = await run(["kubectl", "version", "--client", "--output=json"], { env: plainEnv("/nonexistent") });
  const [, client = "unknown"] = /"gitVersion": "([^"]+)"/.exec(stdout) ?? [];
  return [
    `Kubernetes ${version.text}, ${nodes.trim().split("\n").length} node; kubectl ${client}`,
    `environments are pods of one image (${IMAGE}) that is on the node, with a volume for files`,
  ];
}
