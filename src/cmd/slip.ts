#!/usr/bin/env -S node --max-semi-space-size=4
/**
 * `slip`: the one program. Reads the command line, does what it says, and ends with the exit code that belongs to it.
 *
 * @module
 */
import type { Invocation } from "../base/command-line.ts";
import { helpText, readInvocation } from "../cli/commands.ts";
import { reportFault } from "./process.ts";
import { stateFolder } from "./state-folder.ts";

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const note = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/** Each command loads what it needs and no more: sshd runs one of them at each login. */
async function run(words: readonly string[]): Promise<void> {
  const { name, ...call } = readInvocation(words);
  const state = stateFolder(process.env, process.cwd());
  switch (name) {
    case "slip serve":
      return (await import("./serve-command.ts")).serve(settingsPath(call), state, call);
    case "slip check":
      return (await import("./check-command.ts")).checkSettingsFile(settingsPath(call), call, {
        env: process.env,
        print,
      });
    case "slip access explain":
      return (await import("./access-commands.ts")).explainAccess(state, call, print);
    case "slip access list":
      return (await import("./access-commands.ts")).listAccess(state, call, print);
    case "slip authorized-keys":
      return (await import("./access-commands.ts")).printAuthorizedKeys(state, call, print);
    case "slip install kubernetes":
      return (await import("./install-command.ts")).installKubernetes(call, { env: process.env, print, note });
    case "slip pool ls":
      return (await import("./pool-commands.ts")).listPools(state, call, print);
    case "slip pool explain":
      return (await import("./pool-commands.ts")).explainPool(state, call, print);
    case "slip gc":
      return (await import("./garbage-command.ts")).sweepGarbage(state, call, print);
    case "slip hostkey list":
      (await import("./key-commands.ts")).listHostKeys(state, call, print);
      return;
    case "slip hostkey rotate":
      return (await import("./key-commands.ts")).rotateHostKeys(state, call, print);
    case "slip audit verify":
      return (await import("./key-commands.ts")).verifyAuditLog(state, call, print);
    case "slip help":
      print(helpText(call.args));
      return;
    default:
      name satisfies never;
  }
}

function settingsPath(call: Invocation): string {
  const path = call.options["settings"];
  return typeof path === "string" ? path : "slipway.yaml";
}

// A command ends when it is done or has failed. Timers of ours keep no process alive, so one that waits for nothing else
// (its turn at a rationed server) would end in silence, and as if all were well.
const alive = setInterval(() => {}, 60_000);

run(process.argv.slice(2))
  .catch((error: unknown) => {
    process.exitCode = reportFault(error);
  })
  .finally(() => {
    clearInterval(alive);
  });
