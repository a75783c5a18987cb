/**
 * `slip serve`: runs the service until it is told to stop.
 *
 * @module
 */
import { makeClock } from "../base/clock.ts";
import type { Invocation } from "../base/command-line.ts";
import { Fault } from "../base/fault.ts";
import { makeLog, type LogLevel } from "../base/log.ts";
import { untilStopped } from "./process.ts";
import { openService } from "./service.ts";
import { readSettings } from "./settings-file.ts";
import { makeStateFolder, type StateFolder } from "./state-folder.ts";

const DRAIN_MS = 10_000;

/** Serves until a signal says to stop. @throws {Fault} with what the operator must change */
export async function serve(file: string, state: StateFolder, call: Invocation): Promise<void> {
  const drainMs = readDrain(call.options["drain-ms"]);
  const settings = await readSettings(file);
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
  try {
    const signal = await Promise.race([stopped, service.lost]);
    log.info("service.stopping", { signal, drainMs });
  } finally {
    await service.close(drainMs);
  }
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
