/**
 * Makes a member of a pool somebody's environment: `Runtime.claim`. Talks to it first, so that a dead one is found while
 * there is still another way.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import type { EnvironmentSpec, Report, StartSpec } from "../runtime.ts";
import type { Exec } from "./api/cluster-api.ts";
import { type Cluster, findReadyPod, mustFind, mustRunIn } from "./cluster.ts";
import { switchBranch } from "./inside/checkout.ts";
import { runInside } from "./inside/run-inside.ts";
import type { Kept } from "./kept.ts";
import { aroundOf } from "./set-up.ts";
import { findRevision } from "./sources.ts";
import { closeStandby } from "./standby.ts";
import { markNamespace } from "./starting.ts";

/** A member that takes longer to answer is of no use: a cold start takes little more (guess). */
const ANSWER_MS = 2_000;

export interface ClaimOptions {
  readonly spec: EnvironmentSpec;
  readonly start: StartSpec;
  readonly report: Report;
}

/** Claims it. @throws {Fault} `environment.unstarted` when its pod is gone */
export async function claimMember(
  cluster: Cluster,
  { spec, start, report }: ClaimOptions,
  signal: AbortSignal,
): Promise<void> {
  const begun = cluster.clock.elapsed();
  const found = await mustFind(cluster, spec.id);
  const pod = findReadyPod(cluster, found);
  if (pod === undefined) throw dead(spec.id, "its pod does not run");
  cluster.doors.prepare(spec.id, pod);
  const around = aroundOf({ spec, start });
  const marked = keptAsClaimed(found.kept, spec).then((kept) => markNamespace(cluster, kept, signal));
  const feeding = (): Promise<Exec> => cluster.standby.feeds.take(spec.id, pod, signal);
  const switched = switchBranch(feeding, { source: spec.source, around }, signal);
  const results = await Promise.allSettled([marked, switched]);
  closeStandby(cluster.standby, spec.id);
  for (const result of results) if (result.status === "rejected") throw result.reason;
  report("claiming a prepared environment", cluster.clock.elapsed() - begun);
}

/** What was read for the pool is not what the environment is to wake by. */
async function keptAsClaimed(kept: Kept, spec: EnvironmentSpec): Promise<Kept> {
  const found = await findRevision(spec.source, undefined).catch(() => undefined); // told when it wakes
  return { ...kept, spec, ...(found && { revision: { commit: found.commit, branch: found.branch } }) };
}

/** Says whether a member answers. @throws {Fault} `environment.unstarted` when it does not */
export async function verifyMember(cluster: Cluster, id: string, signal: AbortSignal): Promise<void> {
  const { pod } = await mustRunIn(cluster, id);
  const late = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  const running = (): Promise<Exec> => cluster.standby.runs.take(id, pod, late);
  try {
    const { exitCode } = await runInside(running, { text: ":", output: "out", maxBytes: 0 }, late);
    if (exitCode !== 0) throw new Error(`Cannot run a shell inside: it ended with ${exitCode}`);
  } catch (cause) {
    signal.throwIfAborted();
    throw dead(id, "it does not answer", cause);
  }
}

function dead(id: string, why: string, cause?: unknown): Fault {
  return new Fault("environment.unstarted", `Cannot claim ${id}: ${why}`, {
    told: `the prepared environment was of no use: ${why}`,
    cause,
  });
}
