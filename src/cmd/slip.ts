#!/usr/bin/env node
/**
 * `slip`: the one program. Reads the command line, does what it says, and ends with the exit code that belongs to it.
 *
 * @module
 */
import { makeClock } from "../base/clock.ts";
import { makeLog, type LogLevel } from "../base/log.ts";
import { Fault } from "../base/fault.ts";
import type { Invocation } from "../base/command-line.ts";
import { helpText, readInvocation } from "../cli/commands.ts";
import { explainAccess, listAccess, printAuthorizedKeys } from "./access-commands.ts";
import { checkSettingsFile } from "./check-command.ts";
import { listHostKeys, rotateHostKeys, verifyAuditLog } from "./key-commands.ts";
import { reportFault, untilStopped } from "./process.ts";
import { openService } from "./service.ts";
import { readSettings } from "./settings-file.ts";
import { makeStateFolder, stateFolder } from "./state-folder.ts";

const DRAIN_MS = 10_000;

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function run(words: readonly string[]): Promise<void> {
  const { name, ...call } = readInvocation(words);
  const state = stateFolder(process.env, process.cwd());
  switch (name) {
    case "slip serve":
      return serve(call);
    case "slip check":
      return checkSettingsFile(settingsPath(call), call, { env: process.env, print });
    case "slip access explain":
      return explainAccess(state, call, print);
    case "slip access list":
      return listAccess(state, call, print);
    case "slip authorized-keys":
      return printAuthorizedKeys(state, call, print);
    case "slip hostkey list":
      listHostKeys(state, call, print);
      return;
    case "slip hostkey rotate":
      return rotateHostKeys(state, call, print);
    case "slip audit verify":
      return verifyAuditLog(state, call, print);
    case "slip help":
      print(helpText(call.args));
      return;
    default:
      name satisfies never;
  }
}

async function serve(call: Invocation): Promise<void> {
  const drainMs = readDrain(call.options["drain-ms"]);
  const settings = readSettings(settingsPath(call));
  const state = stateFolder(process.env, process.cwd());
  makeStateFolder(state);
  const log = makeLog(readLevel(process.env["SLIPWAY_LOG"]));
  const stopped = untilStopped();
  const service = await openService({ settings, state, clock: makeClock(), log, env: process.env });
  log.info("service.started", { ssh: service.ssh, httpPort: service.httpPort, lacks: service.lacks });
  process.on("SIGHUP", () => {
    service.reloadKeys().catch((error: unknown) => {
      log.error("keys.not-reloaded", error);
    });
  });
  const signal = await stopped;
  log.info("service.stopping", { signal, drainMs });
  await service.close(drainMs);
}

function settingsPath(call: Invocation): string {
  const path = call.options["settings"];
  return typeof path === "string" ? path : "slipway.yaml";
}

function readDrain(value: string | boolean | undefined): number {
  if (value === undefined) return DRAIN_MS;
  const ms = Number(value);
  if (Number.isInteger(ms) && ms >= 0) return ms;
  const told = `--drain-ms needs a whole number of milliseconds, is ${JSON.stringify(value)}`;
  throw new Fault("usage.wrong", `Cannot serve: ${told}`, { told });
}

function readLevel(value: string | undefined): LogLevel {
  const levels: readonly LogLevel[] = ["debug", "info", "warn", "error", "silent"];
  return levels.find((level) => level === value) ?? "info";
}

run(process.argv.slice(2)).catch((error: unknown) => {
  process.exitCode = reportFault(error);
});
