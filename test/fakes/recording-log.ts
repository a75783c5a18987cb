/**
 * A log that keeps its lines for a test to look at.
 *
 * @module
 */
import type { Facts, Log } from "../../src/base/log.ts";

export interface LoggedLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly event: string;
  readonly facts: Facts;
  readonly cause?: unknown;
}

export function recordingLog(): { readonly log: Log; readonly lines: LoggedLine[] } {
  const lines: LoggedLine[] = [];
  const make = (given: Facts): Log => ({
    debug: (event, facts) => lines.push({ level: "debug", event, facts: { ...given, ...facts } }),
    info: (event, facts) => lines.push({ level: "info", event, facts: { ...given, ...facts } }),
    warn: (event, facts) => lines.push({ level: "warn", event, facts: { ...given, ...facts } }),
    error: (event, cause, facts) => lines.push({ level: "error", event, cause, facts: { ...given, ...facts } }),
    with: (facts) => make({ ...given, ...facts }),
  });
  return { log: make({}), lines };
}
