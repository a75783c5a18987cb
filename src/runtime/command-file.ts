/**
 * Puts a command with its variables and folder into a small shell file, which the environment's user alone can read and
 * which is read after all privileges are dropped.
 *
 * @module
 */
import type { Command } from "./runtime.ts";
import { isVariableName, makeExports, quoteWord } from "./shell-words.ts";

export interface CommandFile {
  readonly command: Command;
  readonly env: Readonly<Record<string, string>>;
  /** Absolute path inside. */
  readonly folder: string;
  /** Shell for a command line in a root file system that has no `/bin/sh`: an absolute path without special characters. */
  readonly otherShell?: string;
}

/** Makes the text. The file ends by becoming the command, so its exit code is the command's. */
export function makeCommandFile({ command, env, folder, otherShell }: CommandFile): string {
  const pick = otherShell === undefined ? "" : `_slipway_sh=/bin/sh\n[ -x /bin/sh ] || _slipway_sh=${otherShell}\n`;
  const shell = otherShell === undefined ? "/bin/sh" : '"$_slipway_sh"';
  const words = "shell" in command ? [shell, "-c", quoteWord(command.shell)] : command.argv.map(quoteWord);
  // What a shell cannot hold as a variable, env(1) can.
  const others = Object.entries(env).filter(([name]) => !isVariableName(name));
  const prefix = others.length === 0 ? [] : ["env", ...others.map(([name, value]) => quoteWord(`${name}=${value}`))];
  return `${makeExports(env)}cd ${quoteWord(folder)} || exit 1\n${pick}exec ${[...prefix, ...words].join(" ")}\n`;
}

export interface InsideFacts {
  readonly user: string;
  readonly workspaceFolder: string;
  readonly containerEnv: Readonly<Record<string, string>>;
}

/** Folders of programs inside; ours are last, so that whatever the root file system has goes before. */
const PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games:/opt/slipway/bin";

/** Makes the variables every process of an environment begins with; `extra` wins over `containerEnv`. */
export function makeBaseEnv(facts: InsideFacts, extra: Readonly<Record<string, string>>): Record<string, string> {
  const env: Record<string, string> = {
    PATH,
    LANG: "C.UTF-8",
    HOME: `/home/${facts.user}`,
    USER: facts.user,
    LOGNAME: facts.user,
    SLIPWAY_WORKSPACE: facts.workspaceFolder,
    ...facts.containerEnv,
    ...extra,
  };
  return { ...env, SLIPWAY_PATH: env["PATH"] ?? PATH };
}
