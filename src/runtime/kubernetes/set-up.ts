/**
 * Sets up what is in a pod that has just started: the checkout, git's configuration, and the service command to keep running.
 *
 * Called by `starting.ts` and `claiming.ts`. Each part can be done again.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import { makeCommandFile } from "../command-file.ts";
import type { EnvironmentSpec, Report, StartSpec } from "../runtime.ts";
import { quoteWord } from "../shell-words.ts";
import type { Cluster } from "./cluster.ts";
import { RUN, TOOLS_SH } from "./inside.ts";
import type { Around } from "./inside/checkout-text.ts";
import { checkOut } from "./inside/checkout.ts";
import { GIT_CONFIG_ENV, makeInsideGitConfig } from "./inside/git-config.ts";
import type { StartProgram } from "./inside/line.ts";
import { runInside } from "./inside/run-inside.ts";
import type { RunningPod } from "./judge-pod.ts";

export interface SetUpOptions {
  readonly spec: EnvironmentSpec;
  readonly start: StartSpec;
  readonly report: Report;
  /** Whether its checkout has to be made. */
  readonly isNew: boolean;
  readonly exec: StartProgram;
}

/** Sets it up; what it needs at each start of a pod beside what it needs once. */
export async function setUpPod(
  cluster: Cluster,
  pod: RunningPod,
  options: SetUpOptions,
  signal: AbortSignal,
): Promise<void> {
  const { spec, isNew, exec, report } = options;
  cluster.doors.prepare(spec.id, pod);
  const begun = cluster.clock.elapsed();
  const around = aroundOf(options);
  // With the checkout in one program: each takes a node 50 ms to start.
  if (isNew) await checkOut(exec, { source: spec.source, around }, signal);
  else await mustRun(exec, `${around.before}\n${around.after}`, signal);
  report(isNew ? `checking out ${spec.source.branch}` : "setting up", cluster.clock.elapsed() - begun);
}

/** What is to be done before and after the checkout: a service that was started without it would find nothing to run. */
export function aroundOf(options: Pick<SetUpOptions, "spec" | "start">): Around {
  return { before: makeFilesText(options), after: options.start.run === undefined ? "" : START_SERVICE };
}

/** Shell lines that write what is in memory inside, and so is gone with the pod: git's configuration, and the service command. */
function makeFilesText({ spec, start }: Pick<SetUpOptions, "spec" | "start">): string {
  const { run, runEnv, workspaceFolder } = start;
  const files = [[`${RUN}/gitconfig`, makeInsideGitConfig(spec)]];
  if (run !== undefined) {
    const env = { ...GIT_CONFIG_ENV, ...start.containerEnv, ...runEnv };
    const service = { command: { shell: run }, env, folder: workspaceFolder, otherShell: TOOLS_SH };
    files.push([`${RUN}/service`, makeCommandFile(service)]);
  }
  const lines = files.map(
    ([path = "", text = ""]) => `printf %s ${quoteWord(text)} >${path}.part && mv ${path}.part ${path} || exit 1`,
  );
  return ["umask 077", ...lines, "umask 022"].join("\n");
}

/** Tells the first process to look for the service command. */
const START_SERVICE = "kill -HUP 1";

async function mustRun(exec: StartProgram, text: string, signal: AbortSignal): Promise<void> {
  const { exitCode, stderr } = await runInside(exec, { text, output: "out", maxBytes: 1_024 }, signal);
  if (exitCode !== 0)
    throw new Fault("runtime.failed", `Cannot set up a pod: a step ended with ${exitCode}, ${stderr}`);
}
