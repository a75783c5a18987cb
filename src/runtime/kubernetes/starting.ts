/**
 * Brings an environment up in its namespace: `Runtime.start`. Applies its objects, waits for the pod, and sets up what is
 * in it: the checkout, who commits, the service command.
 *
 * Everything here can be done again after a crash at any moment.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import { writeManifestComplaint } from "../../policy/kubernetes/complaint.ts";
import type { ObjectFacts, Plan } from "../../policy/kubernetes/facts.ts";
import { planNamespace } from "../../policy/kubernetes/namespace.ts";
import { planEnvironment } from "../../policy/kubernetes/plan.ts";
import { kinds, type KubernetesObject } from "../../wire/kubernetes.ts";
import { makeHostKey } from "../host-key.ts";
import type { EnvironmentSpec, Report, StartSpec } from "../runtime.ts";
import { applyAll } from "./applying.ts";
import {
  type Cluster,
  execIn,
  findEnvironment,
  findPod,
  isEnding,
  keepOf,
  mustFind,
  namespaceName,
  untilWritten,
} from "./cluster.ts";
import type { RunningPod } from "./judge-pod.ts";
import { type Kept, withKept } from "./kept.ts";
import { runInside } from "./inside/run-inside.ts";
import { renderManifests } from "./manifests/render-manifests.ts";
import { setUpPod } from "./set-up.ts";
import { revisionOf } from "./sources.ts";
import { whyNoPod } from "./why-no-pod.ts";

/** How long images may take to be pulled, and nodes to be found (guess). */
const POD_MS = 10 * 60_000;

/** A pod that failed gets so long to come right by itself: the kubelet may not have seen yet what was applied before it. */
const FAILED_MS = 3_000;

/** When to look why there is no pod at all, and to tell what one waits for. */
const PATIENCE_MS = 5_000;

export interface StartOptions {
  readonly spec: EnvironmentSpec;
  readonly start: StartSpec;
  readonly report: Report;
}

/** Makes the namespace, which says whose it is. */
export async function makeNamespace(cluster: Cluster, spec: EnvironmentSpec, signal: AbortSignal): Promise<void> {
  const known = findEnvironment(cluster, spec.id);
  if (known !== undefined && isEnding(known.namespace)) await untilGone(cluster, spec.id, signal);
  await markNamespace(cluster, known === undefined ? { spec } : { ...known.kept, spec }, signal);
}

/** Writes on the namespace of an environment whose it is. */
export async function markNamespace(cluster: Cluster, kept: Kept, signal: AbortSignal): Promise<void> {
  const namespace = planNamespace(factsOf(cluster, kept.spec));
  await untilWritten(cluster, await cluster.api.apply(kinds.namespace, withKept(namespace, kept), signal), signal);
}

async function untilGone({ namespaces, ...cluster }: Cluster, id: string, signal: AbortSignal): Promise<void> {
  const name = namespaceName(cluster, id);
  await namespaces.until(() => namespaces.find(undefined, name) === undefined || undefined, signal);
}

function factsOf(cluster: Cluster, spec: EnvironmentSpec, start?: StartSpec): ObjectFacts {
  const { podSecurity = "restricted", tier = "lightweight" } = start?.container ?? {};
  return {
    installation: cluster.installation,
    environment: spec.id,
    generation: spec.generation,
    owner: spec.owner,
    repository: spec.source.repository,
    branch: spec.source.branch,
    cluster: cluster.settings,
    podSecurity,
    tier,
  };
}

/** Starts an environment whose namespace is there. */
export async function startEnvironment(cluster: Cluster, options: StartOptions, signal: AbortSignal): Promise<void> {
  const { spec, start, report } = options;
  const { kept } = await mustFind(cluster, spec.id);
  const keys = await readKeys(cluster, spec.id, signal);
  const begun = cluster.clock.elapsed();
  const { plan, warnings } = await makePlan(cluster, { spec, start, keys }, signal);
  const entrance = {
    user: start.user,
    workspaceFolder: start.workspaceFolder,
    ...plan.target,
    hostKey: keys.publicBlob,
    serviceNames: plan.serviceNames,
    warnings: [...warnings, ...plan.warnings],
  };
  const now: Kept = { spec, entrance, ...(kept.isCheckedOut === true ? { isCheckedOut: true } : {}) };
  await applyAll(cluster, [withKept(plan.namespace, now)], signal);
  await applyAll(cluster, plan.base, signal);
  await applyAll(cluster, plan.workloads, signal);
  report("applying its objects", cluster.clock.elapsed() - begun);
  const podBegun = cluster.clock.elapsed();
  const pod = await untilPod(cluster, { id: spec.id, plan, report }, signal);
  report("starting the pod", cluster.clock.elapsed() - podBegun);
  await setUpPod(
    cluster,
    pod,
    { ...options, isNew: kept.isCheckedOut !== true, exec: execIn(cluster, pod, signal) },
    signal,
  );
  await keepOf(cluster, spec.id, { ...now, isCheckedOut: true, readyPod: pod.uid }, signal);
}

interface Keys {
  /** Text of a private key file. */
  readonly privateText: string;
  /** Base64. */
  readonly publicBlob: string;
}

/** The host key of the sshd inside: the one there is, since clients of ours believe no other. */
async function readKeys(cluster: Cluster, id: string, signal: AbortSignal): Promise<Keys> {
  const ref = { of: kinds.secret, namespace: namespaceName(cluster, id), name: "slipway-keys" };
  const secret = await cluster.api.read(ref, signal);
  const data: unknown = secret?.["data"];
  const read = (name: string): string | undefined => {
    const value: unknown = typeof data === "object" && data !== null ? Reflect.get(data, name) : undefined;
    return typeof value === "string" ? Buffer.from(value, "base64").toString() : undefined;
  };
  const privateText = read("host_ed25519");
  const publicBlob = read("host_ed25519.pub");
  if (privateText !== undefined && publicBlob !== undefined) return { privateText, publicBlob };
  const made = makeHostKey();
  return { privateText: made.privateText, publicBlob: made.publicBlob.toString("base64") };
}

async function makePlan(
  cluster: Cluster,
  { spec, start, keys }: { spec: EnvironmentSpec; start: StartSpec; keys: Keys },
  signal: AbortSignal,
): Promise<{ plan: Plan; warnings: readonly string[] }> {
  const { container } = start;
  const { mirrorPath } = spec.source;
  const rendered =
    container.manifests.length === 0
      ? undefined
      : await renderManifests(
          {
            mirrorPath,
            revision: revisionOf(spec.source),
            paths: container.manifests,
            clock: cluster.clock,
            log: cluster.log,
          },
          signal,
        );
  const planned = planEnvironment(
    factsOf(cluster, spec, start),
    {
      hostname: spec.hostname,
      user: start.user,
      workspaceFolder: start.workspaceFolder,
      containerEnv: start.containerEnv,
      serviceAccountToken: container.serviceAccountToken,
      hostRequirements: container.hostRequirements,
      ...(container.runAsUser === undefined ? {} : { runAsUser: container.runAsUser }),
    },
    {
      keys: {
        hostKey: keys.privateText,
        publicHostKey: keys.publicBlob,
        authorizedKeys: `${cluster.gatewayKey}\n`,
      },
      ...(container.image === undefined ? {} : { image: container.image }),
      ...(rendered === undefined ? {} : { manifests: rendered.objects }),
      ...(container.target === undefined ? {} : { targetName: container.target }),
    },
  );
  if ("complaints" in planned) {
    const told = planned.complaints.map(writeManifestComplaint).join("\n");
    throw new Fault("manifests.invalid", `Cannot start ${spec.id}: ${told}`, { told });
  }
  return { plan: planned, warnings: rendered?.warnings ?? [] };
}

interface PodWanted {
  readonly id: string;
  readonly plan: Plan;
  readonly report: Report;
}

/** Waits until the target's container runs. @throws {Fault} `environment.unstarted` with what keeps it from doing so */
async function untilPod(cluster: Cluster, wanted: PodWanted, signal: AbortSignal): Promise<RunningPod> {
  const { clock, pods } = cluster;
  const { id, plan, report } = wanted;
  const begun = clock.elapsed();
  let told = "";
  for (;;) {
    const state = findPod(cluster, id, plan.target);
    const waited = clock.elapsed() - begun;
    if (state.type === "running") return state.pod;
    if (state.type === "coming" && state.maybe !== undefined && (await answers(cluster, state.maybe, signal)))
      return state.maybe;
    if (state.type === "failed" && waited >= FAILED_MS) throw unstarted(id, state.told);
    if (waited >= POD_MS) throw unstarted(id, troubleOf(state) ?? "its pod took too long to start");
    const trouble = waited < PATIENCE_MS ? undefined : (troubleOf(state) ?? (await whyNoPod(cluster, id, signal)));
    if (trouble !== undefined && trouble !== told) report(`waiting: ${trouble}`, waited);
    told = trouble ?? told;
    // Until something changes, or it is time to look again.
    const pause = state.type === "failed" ? FAILED_MS : PATIENCE_MS;
    const late = new AbortController();
    const cancel = clock.after(pause, () => late.abort());
    const before = JSON.stringify(state);
    const isOther = (): true | undefined => JSON.stringify(findPod(cluster, id, plan.target)) !== before || undefined;
    await pods.until(isOther, AbortSignal.any([signal, late.signal])).catch(() => signal.throwIfAborted());
    cancel();
  }
}

/** How often a container that should be about to start is asked, and after what pause. */
const [KNOCKS, KNOCK_MS] = [12, 100];

/** Says whether a container can be entered that no kubelet has said to run yet: that comes up to a second late. */
async function answers(cluster: Cluster, pod: RunningPod, signal: AbortSignal): Promise<boolean> {
  for (let knock = 0; knock < KNOCKS; knock++) {
    try {
      await runInside(execIn(cluster, pod, signal), { text: ":", output: "out", maxBytes: 0 }, signal);
      return true;
    } catch {
      signal.throwIfAborted();
      await cluster.clock.sleep(KNOCK_MS, signal);
    }
  }
  return false;
}

function troubleOf(state: ReturnType<typeof findPod>): string | undefined {
  if (state.type === "failed") return state.told;
  return state.type === "coming" ? state.trouble : undefined;
}

function unstarted(id: string, told: string): Fault {
  return new Fault("environment.unstarted", `Cannot start ${id}: ${told}`, {
    told: `this environment does not start: ${told}`,
  });
}
