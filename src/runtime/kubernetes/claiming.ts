/**
 * Makes a member of a pool somebody's environment: `Runtime.claim`. Talks to it first, so that a dead one is found while
 * there is still another way.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import type { EnvironmentSpec, Report, StartSpec } from "../runtime.ts";
import { type Cluster, execIn, findReadyPod, mustFind } from "./cluster.ts";
import { switchBranch } from "./inside/checkout.ts";
import { startService, writeFiles } from "./set-up.ts";
import { markNamespace } from "./starting.ts";

/** A member that takes longer to answer is of no use: a cold start takes little more (guess). */
const ANSWER_MS = 2_000;

export interface ClaimOptions {
  readonly spec: EnvironmentSpec;
  readonly start: StartSpec;
  readonly report: Report;
}

/** Claims it. @throws {Fault} `environment.unstarted` when it does not answer */
export async function claimMember(
  cluster: Cluster,
  { spec, start, report }: ClaimOptions,
  signal: AbortSignal,
): Promise<void> {
  const begun = cluster.clock.elapsed();
  const found = await mustFind(cluster, spec.id);
  const pod = findReadyPod(cluster, found);
  if (pod === undefined) throw dead(spec.id, "its pod does not run");
  const exec = execIn(cluster, pod, signal);
  const late = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  await writeFiles({ spec, start, exec }, late).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw dead(spec.id, "it does not answer", cause);
  });
  const marked = markNamespace(cluster, { ...found.kept, spec }, signal);
  const switched = switchBranch(exec, spec.source, signal);
  for (const result of await Promise.allSettled([marked, switched])) {
    if (result.status === "rejected") throw result.reason;
  }
  await startService({ start, exec }, signal);
  cluster.doors.prepare(spec.id, pod);
  report("claiming a prepared environment", cluster.clock.elapsed() - begun);
}

function dead(id: string, why: string, cause?: unknown): Fault {
  return new Fault("environment.unstarted", `Cannot claim ${id}: ${why}`, {
    told: `the prepared environment was of no use: ${why}`,
    cause,
  });
}
