/**
 * Runs the commands of an environment's life, their output into its log: `Runtime.run`.
 *
 * @module
 */
import { closeSync, openSync } from "node:fs";

import type { Command, EnvironmentSpec } from "../runtime.ts";
import { makeBaseEnv, makeCommandFile } from "../command-file.ts";
import type { Host } from "./host.ts";
import type { Place } from "./layout.ts";
import { appendLog } from "./log-file.ts";
import { runInRunning } from "./passing.ts";
import { quoteWord } from "../shell-words.ts";
import type { Running } from "./stored.ts";

export interface CommandOptions {
  readonly spec: EnvironmentSpec;
  readonly state: Running;
  readonly command: Command;
  readonly env: Readonly<Record<string, string>>;
}

/** Runs one in a running environment; its process group is killed when `signal` aborts or the service dies. */
export async function runCommand(
  host: Host,
  place: Place,
  { spec, state, command, env }: CommandOptions,
  signal: AbortSignal,
): Promise<{ exitCode: number }> {
  const { start, holder } = state;
  const folder = start.workspaceFolder;
  const commandText = makeCommandFile({ command, env: makeBaseEnv(start, env), folder });
  await appendLog(place.log, `$ ${nameCommand(command)}\n`);
  const output = openSync(place.log, "a", 0o600);
  try {
    const { exitCode } = await runInRunning(
      host,
      { place, spec, commandText, output, limited: true },
      holder.pid,
      signal,
    );
    if (exitCode !== 0) await appendLog(place.log, `slipway: the command ended with code ${exitCode}\n`);
    return { exitCode };
  } finally {
    closeSync(output);
  }
}

function nameCommand(command: Command): string {
  if ("shell" in command) return command.shell;
  return command.argv.map((word) => (/^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : quoteWord(word))).join(" ");
}
