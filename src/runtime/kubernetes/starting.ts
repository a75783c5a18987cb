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
import { kinds } from "../../wire/kubernetes.ts";
import { makeHostKey } from "../host-key.ts";
import type { EnvironmentSpec, Report, StartSpec } from "../runtime.ts";
import { appliedOf, applyAll, claimNamesOf, droppedOf, removeDropped } from "./applying.ts";
import { type Cluster, execIn, findEnvironment, isEnding, mustFind, namespaceName } from "./cluster.ts";
import { applyNamespace, keepOf, untilWritten } from "./keeping.ts";
import type { Kept, Revision } from "./kept.ts";
import { renderManifests } from "./manifests/render-manifests.ts";
import { copyPullSecrets } from "./pull-secrets.ts";
import { asAwake } from "./resting.ts";
import { setUpPod } from "./set-up.ts";
import { findRevision } from "./sources.ts";
import { clearEndedPods, untilPod } from "./until-pod.ts";

export interface StartOptions {
  readonly spec: EnvironmentSpec;
  readonly start: StartSpec;
  readonly report: Report;
}

/** Makes the namespace, which says whose it is. One that somebody else removes is waited for, which may take a minute. */
export async function makeNamespace(
  cluster: Cluster,
  { spec, report }: Pick<StartOptions, "spec" | "report">,
  signal: AbortSignal,
): Promise<void> {
  const before = findEnvironment(cluster, spec.id);
  if (before !== undefined && isEnding(before.namespace)) {
    report("waiting: the namespace it had is still being removed", 0);
    await untilGone(cluster, spec.id, signal);
  }
  // Nothing of one that is gone holds for the next of its name.
  const known = findEnvironment(cluster, spec.id);
  await markNamespace(cluster, known === undefined ? { spec } : { ...known.kept, spec }, signal);
}

/** Writes on the namespace of an environment whose it is. */
export async function markNamespace(cluster: Cluster, kept: Kept, signal: AbortSignal): Promise<void> {
  const namespace = planNamespace(factsOf(cluster, kept.spec));
  await untilWritten(cluster, await applyNamespace(cluster, namespace, kept, signal), signal);
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
    ...(cluster.gateway === undefined ? {} : { gateway: cluster.gateway }),
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
  const before = kept.applied ?? [];
  const { plan, revision, warnings } = await makePlan(
    cluster,
    { spec, start, keys, last: kept.revision, claimsBefore: claimNamesOf(before) },
    signal,
  );
  const entrance = {
    user: start.user,
    workspaceFolder: start.workspaceFolder,
    ...plan.target,
    hostKey: keys.publicBlob,
    serviceNames: plan.serviceNames,
    warnings: [...warnings, ...plan.warnings],
  };
  const now: Kept = {
    spec,
    entrance,
    ...(revision && { revision }),
    ...(kept.isCheckedOut === true ? { isCheckedOut: true } : {}),
  };
  const { applied, stays } = await applyPlan(cluster, { plan, now, before, options }, signal);
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
  const whole = { ...entrance, warnings: [...entrance.warnings, ...stays] };
  await keepOf(cluster, spec.id, { ...now, entrance: whole, applied, isCheckedOut: true, readyPod: pod.uid }, signal);
}

interface Applying {
  readonly plan: Plan;
  /** Of the environment, before its pod runs. */
  readonly now: Kept;
  /** What was applied before. */
  readonly before: NonNullable<Kept["applied"]>;
  readonly options: StartOptions;
}

/** Makes what is in the cluster what is planned. @returns what is to be remembered, and what could not be so */
async function applyPlan(
  cluster: Cluster,
  { plan, now, before, options: { spec, start, report } }: Applying,
  signal: AbortSignal,
): Promise<{ readonly applied: NonNullable<Kept["applied"]>; readonly stays: readonly string[] }> {
  const pullSecrets = await copyPullSecrets(cluster, factsOf(cluster, spec, start), signal);
  const base = [...plan.base, ...pullSecrets];
  const planned = appliedOf([...base, ...plan.workloads], plan.claims);
  const dropped = droppedOf(before, planned);
  await applyNamespace(cluster, plan.namespace, { ...now, applied: [...planned, ...dropped] }, signal);
  const stays = [...(await applyAll(cluster, base, signal))];
  // Before others take their place in the quota.
  stays.push(...(await removeDropped(cluster, { id: spec.id, dropped }, signal)));
  await clearEndedPods(cluster, { plan, report }, signal);
  stays.push(...(await applyAll(cluster, await asAwake(cluster.api, plan.workloads, signal), signal)));
  return { applied: appliedOf([...base, ...plan.workloads], [...plan.claims, ...claimNamesOf(dropped)]), stays };
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

interface Planning {
  readonly spec: EnvironmentSpec;
  readonly start: StartSpec;
  readonly keys: Keys;
  /** Where it was read before. */
  readonly last: Revision | undefined;
  /** Names of the volume claims that it has had. */
  readonly claimsBefore: readonly string[];
}

async function makePlan(
  cluster: Cluster,
  { spec, start, keys, last, claimsBefore }: Planning,
  signal: AbortSignal,
): Promise<{ plan: Plan; revision: Revision | undefined; warnings: readonly string[] }> {
  const { container } = start;
  const { mirrorPath } = spec.source;
  const found = await findRevision(spec.source, last).catch((error: unknown) => {
    if (container.manifests.length > 0) throw error;
    return undefined; // an image alone needs nothing of it
  });
  const rendered =
    container.manifests.length === 0 || found === undefined
      ? undefined
      : await renderManifests(
          {
            mirrorPath,
            revision: found.commit,
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
      claimsBefore,
      ...(container.image === undefined ? {} : { image: container.image }),
      ...(rendered === undefined ? {} : { manifests: rendered.objects }),
      ...(container.target === undefined ? {} : { targetName: container.target }),
    },
  );
  if ("complaints" in planned) {
    const told = planned.complaints.map(writeManifestComplaint).join("\n");
    throw new Fault("manifests.invalid", `Cannot start ${spec.id}: ${told}`, { told });
  }
  // What was read last stays known where nothing can be read now.
  const revision = found === undefined ? last : { commit: found.commit, branch: found.branch };
  return { plan: planned, revision, warnings: [...(found?.warnings ?? []), ...(rendered?.warnings ?? [])] };
}
