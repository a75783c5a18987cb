/**
 * Runs the lifecycle commands of an environment in their order, and remembers in its record which have ended, so that a
 * service that was killed goes on where it was.
 *
 * Called by `bring-up.ts` and `adopt.ts`. A command that fails ends the sequence and nothing else: the environment takes
 * sessions, and its person is told, since only they can mend it.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import type { Command, Runtime } from "../runtime/runtime.ts";
import type { LifecycleName, LifecycleStep } from "../wire/definition.ts";
import type { EnvironmentCondition } from "../wire/environment.ts";
import { conditionOf, withCondition } from "./conditions.ts";
import { plainLine, stepLine } from "./lines.ts";
import type { Report } from "./shared-work.ts";

/** A command that runs longer counts as failed: an environment whose start never ends could never be entered (guess). */
const COMMAND_LIMIT_MS = 60 * 60_000;
/** After so long people are told what they wait for (guess: before they wonder). */
const TELL_AFTER_MS = 1_000;

export interface LifecycleOptions {
  readonly id: string;
  readonly env: Readonly<Record<string, string>>;
  readonly runtime: Pick<Runtime, "run" | "note">;
  readonly clock: Clock;
  readonly report: Report;
}

export interface SequenceOptions extends LifecycleOptions {
  readonly steps: readonly LifecycleStep[];
  readonly conditions: readonly EnvironmentCondition[];
  /** Stores the conditions; throws when they are no longer ours to write. */
  readonly record: (conditions: readonly EnvironmentCondition[]) => Promise<void>;
  /** Called before the first step that sessions need not wait for, or at the end. */
  readonly onReady: () => void;
  readonly isAwaited: (name: LifecycleName) => boolean;
}

/**
 * Runs what has not ended yet of `steps`, one after the other, up to the first that fails or has failed.
 *
 * @returns what failed, as a sentence, if anything did
 */
export async function runSequence(options: SequenceOptions, signal: AbortSignal): Promise<string | undefined> {
  let conditions = options.conditions;
  for (const step of options.steps) {
    if (step.name === "postAttachCommand") continue; // belongs to a connection, not to the environment
    if (!options.isAwaited(step.name)) options.onReady();
    const known = conditionOf(conditions, step.name);
    if (known?.status === "true") continue;
    if (known !== undefined) return known.message;
    const failure = await runStep(step, options, signal);
    const status = failure === undefined ? ("true" as const) : ("false" as const);
    const condition = { type: step.name, status, message: failure ?? "", at: options.clock.now() };
    conditions = withCondition(conditions, condition);
    await options.record(conditions);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/**
 * Runs the commands of one step at the same time and waits for all of them.
 *
 * @returns what failed, as a sentence, if anything did
 */
export async function runStep(
  { name, parallel }: LifecycleStep,
  options: LifecycleOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { id, runtime, clock, report } = options;
  const begunAt = clock.elapsed();
  const quietly = clock.after(TELL_AFTER_MS, () => report(plainLine(`running ${name} …`)));
  try {
    const ends = await Promise.all(
      Object.entries(parallel).map(async ([label, command]) => {
        const what = label === name ? name : `${name} "${label}"`;
        const end = await runWithin(command, options, signal);
        return end === undefined ? undefined : `${what} ${end}`;
      }),
    );
    const failures = ends.filter((end) => end !== undefined);
    const tookMs = clock.elapsed() - begunAt;
    if (failures.length === 0) {
      report(stepLine(`running ${name}`, tookMs));
      return undefined;
    }
    const failure = failures.join(", ");
    await runtime.note(id, `slipway: ${failure} (${Math.round(tookMs)} ms)`);
    return failure;
  } finally {
    quietly();
  }
}

/** Runs one command. @returns how it failed, if it did */
async function runWithin(
  command: Command,
  { id, env, runtime, clock }: LifecycleOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  const late = new AbortController();
  const cancel = clock.after(COMMAND_LIMIT_MS, () => late.abort());
  try {
    const { exitCode } = await runtime.run(id, command, env, AbortSignal.any([signal, late.signal]));
    return exitCode === 0 ? undefined : `failed with exit code ${exitCode}`;
  } catch (error) {
    signal.throwIfAborted();
    if (late.signal.aborted) return `was ended after ${COMMAND_LIMIT_MS / 60_000} minutes`;
    throw error;
  } finally {
    cancel();
  }
}
