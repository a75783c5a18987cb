/**
 * Makes a member of a pool somebody's environment: `Runtime.claim`. Talks to it first, so that a dead one is found while
 * there is still another way.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import type { EnvironmentSpec, Report } from "../runtime.ts";
import { quoteWord } from "../shell-words.ts";
import { type Cluster, execIn, findReadyPod, mustFind } from "./cluster.ts";
import { RUN } from "./inside.ts";
import { switchBranch } from "./inside/checkout.ts";
import { makeGitConfig } from "./inside/git-config.ts";
import { runInside } from "./inside/run-inside.ts";
import { markNamespace } from "./starting.ts";

/** A member that takes longer to answer is of no use: a cold start takes little more (guess). */
const ANSWER_MS = 2_000;

/** Claims it. @throws {Fault} `environment.unstarted` when it does not answer */
export async function claimMember(
  cluster: Cluster,
  { spec, report }: { spec: EnvironmentSpec; report: Report },
  signal: AbortSignal,
): Promise<void> {
  const begun = cluster.clock.elapsed();
  const found = await mustFind(cluster, spec.id);
  const pod = findReadyPod(cluster, found);
  if (pod === undefined) throw dead(spec.id, "its pod does not run");
  const exec = execIn(cluster, pod, signal);
  const late = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  const path = `${RUN}/gitconfig`;
  const text = `umask 077; printf %s ${quoteWord(makeGitConfig(spec))} >${path}.part && mv ${path}.part ${path}`;
  const answer = await runInside(exec, { text, output: "out", maxBytes: 0 }, late).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw dead(spec.id, "it does not answer", cause);
  });
  if (answer.exitCode !== 0) throw dead(spec.id, `it answers with ${answer.exitCode}, ${answer.stderr}`);
  const marked = markNamespace(cluster, { ...found.kept, spec }, signal);
  const switched = switchBranch(exec, spec.source, signal);
  for (const result of await Promise.allSettled([marked, switched])) {
    if (result.status === "rejected") throw result.reason;
  }
  report("claiming a prepared environment", cluster.clock.elapsed() - begun);
}

function dead(id: string, why: string, cause?: unknown): Fault {
  return new Fault("environment.unstarted", `Cannot claim ${id}: ${why}`, {
    told: `the prepared environment was of no use: ${why}`,
    cause,
  });
}
