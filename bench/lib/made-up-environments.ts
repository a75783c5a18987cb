/**
 * Environments that a service takes for its own and that nothing runs of: records in its database, and on the real API server
 * the namespace and the pod that each of them has, whole, with a status as a kubelet would have written it. No scheduler takes
 * these pods.
 *
 * @module
 */
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { makeClock } from "../../src/base/clock.ts";
import { makeLog } from "../../src/base/log.ts";
import { planEnvironment } from "../../src/policy/kubernetes/plan.ts";
import type { ObjectFacts, Plan } from "../../src/policy/kubernetes/facts.ts";
import { makeConnection } from "../../src/runtime/kubernetes/api/connection.ts";
import { pathOf } from "../../src/runtime/kubernetes/api/objects.ts";
import { openRequests } from "../../src/runtime/kubernetes/api/requests.ts";
import { type Entrance, KEPT_ANNOTATION } from "../../src/runtime/kubernetes/kept.ts";
import type { EnvironmentSpec } from "../../src/runtime/runtime.ts";
import { openStore } from "../../src/store/store.ts";
import type { ClusterSettings } from "../../src/wire/cluster-settings.ts";
import { kinds, type KubernetesObject } from "../../src/wire/kubernetes.ts";
import { checkSettings } from "../../src/wire/settings.ts";
import type { ClusterService } from "./cluster-service.ts";
import { inParallel } from "./in-parallel.ts";
import type { ClusterAccess } from "./cluster-service.ts";

/** Makes so many for a service that is stopped. Taken away with it. */
export async function makeUpEnvironments(
  access: ClusterAccess,
  { service, installation }: ClusterService,
  count: number,
  signal: AbortSignal,
): Promise<void> {
  const text = readFileSync(service.settingsFile, "utf8");
  const [cluster] = checkSettings(text, service.settingsFile).clusters;
  if (cluster === undefined) throw new Error("Cannot make up environments: the settings have no cluster");
  const specs = Array.from({ length: count }, (_, number) => makeSpec(number));
  await record(service.stateFolder, specs);
  const server = openServer(access, signal);
  try {
    let made = 0;
    await inParallel(specs, async (spec) => {
      await makeOne(server, planOf(spec, { cluster, installation }), spec);
      if (++made % 250 === 0) process.stderr.write(`  ${made} environments …\n`);
    });
  } finally {
    server.close();
  }
}

function makeSpec(number: number): EnvironmentSpec {
  const id = Array.from({ length: 16 }, () => randomInt(36).toString(36)).join("");
  const branch = `made-up-${number}`;
  return {
    ...{ id, uid: 1_000_000 + number, hostname: `many-${branch}`, cluster: "one", generation: 1, limits: {} },
    source: { repository: "many", mirrorPath: `/var/lib/slipway/mirrors/many.git`, originUrl: "/many.git", branch },
    author: { name: "ada", email: "ada@localhost" },
    owner: { person: "ada", login: `many-${branch}` },
  };
}

/** As they would stand there after their first session. */
async function record(stateFolder: string, specs: readonly EnvironmentSpec[]): Promise<void> {
  const clock = makeClock();
  const path = join(stateFolder, "slipway.db");
  await using store = await openStore({ type: "sqlite", path }, { clock, log: makeLog("silent") });
  const { environments } = store;
  const allowance = { perPerson: specs.length, firstUid: 1_000_000, uidCount: specs.length };
  const conditions = [{ type: "CheckedOut", status: "true", message: "", at: clock.now() }] as const;
  for (const { id, hostname, source } of specs) {
    const { branch } = source;
    const place = { person: "ada", repository: "many", branch, login: hostname, fromBranch: undefined };
    const inventory = [{ type: "kubernetes", id, state: "present" }] as const;
    await environments.add({ ...place, id, hostname, cluster: "one", inventory }, allowance);
    const { fence } = await environments.begin(id, "starting");
    await environments.end(id, fence, { power: "running", conditions });
  }
}

function planOf(
  spec: EnvironmentSpec,
  { cluster, installation }: { cluster: ClusterSettings; installation: string },
): Plan {
  const { id, generation, owner, source, hostname } = spec;
  const { repository, branch } = source;
  const facts: ObjectFacts = {
    ...{ installation, environment: id, generation, owner, cluster, repository, branch },
    podSecurity: "restricted",
    tier: "lightweight",
  };
  const target = {
    ...{ hostname, user: "dev", workspaceFolder: "/workspace/many", containerEnv: {} },
    ...{ serviceAccountToken: false, hostRequirements: {} },
  };
  const plan = planEnvironment(facts, target, { keys: { hostKey: "", publicHostKey: "", authorizedKeys: "" } });
  if ("complaints" in plan) throw new Error(`Cannot make up an environment: ${JSON.stringify(plan.complaints)}`);
  return plan;
}

interface Server {
  post(object: KubernetesObject): Promise<string>;
  /** JSON merge patch; `part` is such as `status`. */
  patch(object: KubernetesObject, part: string, patch: unknown): Promise<void>;
  close(): void;
}

/** The API server without what keeps our own client from making such things up. */
function openServer({ access }: ClusterAccess, signal: AbortSignal): Server {
  const requestRate = { perSecond: 1_000, burst: 1_000 };
  const options = { name: "bench", access, requestRate, clock: makeClock(), log: makeLog("silent") };
  const requests = openRequests(makeConnection(options, signal));
  const pathTo = ({ kind, metadata }: KubernetesObject, name?: string): { resource: string; path: string } => {
    const known = Object.values(kinds).find((one) => one.kind === kind);
    if (known === undefined) throw new Error(`Cannot find the kind ${kind}`);
    return { resource: known.resource, path: pathOf(known, metadata.namespace, name) };
  };
  return {
    post: async (object) => {
      const ask = { verb: "create", method: "POST", isRepeatable: false, body: object, ...pathTo(object) } as const;
      const { body } = await requests.send(ask, signal);
      const uid = (body as { metadata?: { uid?: string } }).metadata?.uid;
      if (uid === undefined) throw new Error(`Cannot read what ${object.metadata.name} was made`);
      return uid;
    },
    patch: async (object, part, patch) => {
      const { resource, path } = pathTo(object, object.metadata.name);
      const how = { method: "PATCH", contentType: "application/merge-patch+json", isRepeatable: true } as const;
      await requests.send({ verb: "patch", resource, path: `${path}${part}`, body: patch, ...how }, signal);
    },
    close: () => requests.close(),
  };
}

/** The namespace, the pod and whatever a server wants to be there before it. */
async function makeOne(server: Server, plan: Plan, spec: EnvironmentSpec): Promise<void> {
  const [pod] = plan.workloads;
  if (pod === undefined) throw new Error("Cannot make up a pod: nothing was planned");
  await server.post(plan.namespace);
  for (const account of plan.base.filter(({ kind }) => kind === kinds.serviceAccount.kind)) await server.post(account);
  // No scheduler has this name.
  const uid = await server.post({ ...pod, spec: { ...(pod["spec"] as object), schedulerName: "nobody" } });
  await server.patch(pod, "/status", { status: makeStatus() });
  const entrance: Entrance = {
    ...{ ...plan.target, user: "dev", workspaceFolder: "/workspace/many" },
    ...{ hostKey: "", serviceNames: [], warnings: [] },
  };
  const kept = JSON.stringify({ spec, isCheckedOut: true, entrance, readyPod: uid });
  await server.patch(plan.namespace, "", { metadata: { annotations: { [KEPT_ANNOTATION]: kept } } });
}

/** As of a pod whose two containers have been started. */
function makeStatus(): unknown {
  const at = new Date().toISOString();
  const started = {
    ...{ image: "slipway/sample:test", imageID: "sha256:0", restartCount: 0, lastState: {} },
    ready: true,
  };
  const container = { ...started, containerID: "containerd://0", started: true };
  return {
    phase: "Running",
    podIP: "10.0.0.1",
    startTime: at,
    conditions: ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map((type) => ({ type, status: "True" })),
    containerStatuses: ["slipway-toolbox", "main"].map((name) => ({
      ...container,
      name,
      state: { running: { startedAt: at } },
    })),
  };
}
