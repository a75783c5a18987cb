/**
 * The two files that say what an environment is (`spec.json`) and which process holds it (`state.json`).
 *
 * `spec.json` is on the disk before anything else of an environment exists: it is the inventory. `state.json` is only
 * worth something while the machine is up, so it is replaced whole but not waited for.
 *
 * @module
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

import { Fault } from "../../base/fault.ts";
import type { EnvironmentSpec, StartSpec } from "../runtime.ts";
import type { Place } from "./layout.ts";
import type { ProcessName } from "./processes.ts";

/**
 * `starting`: namespaces are being made, or a command runs in passing ones; nobody is inside, and whoever finds it with
 * nobody waiting for it may kill it. `running`: brought up with `start`.
 */
export type State = { readonly phase: "starting"; readonly holder: ProcessName } | Running;

/** An environment that is up. */
export interface Running {
  readonly phase: "running";
  readonly holder: ProcessName;
  readonly start: StartSpec;
  readonly addressIndex?: number;
}

/** Writes the inventory and waits until it is on the disk. */
export function writeSpec(place: Place, spec: EnvironmentSpec): void {
  replaceFile(place.specFile, JSON.stringify(spec), "durable");
}

/** Reads the specification; `undefined` when there is none. */
export function readSpec(place: Place): EnvironmentSpec | undefined {
  return readJson(place.specFile, isSpec);
}

export function writeState(place: Place, state: State): void {
  replaceFile(place.stateFile, JSON.stringify(state), "quick");
}

export function readState(place: Place): State | undefined {
  return readJson(place.stateFile, isState);
}

export function removeState(place: Place): void {
  rmSync(place.stateFile, { force: true });
}

/** Puts a whole new file in the place of an old one: a reader sees the one or the other. */
export function replaceFile(path: string, text: string, how: "durable" | "quick", mode = 0o600): void {
  const part = `${path}.part`;
  writeFileSync(part, text, { mode, flush: how === "durable" });
  renameSync(part, path);
  if (how === "quick") return;
  const folder = openSync(dirname(path), "r");
  fsyncSync(folder);
  closeSync(folder);
}

function readJson<Value>(path: string, check: (value: unknown) => value is Value): Value | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Told below: a file of ours is replaced whole, so half of one is damage from outside.
  }
  if (check(value)) return value;
  throw new Fault("state.damaged", `Cannot read ${path}: its content is not ours`);
}

/** Says whether an error of the file system has this code. */
export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function isSpec(value: unknown): value is EnvironmentSpec {
  if (!isRecord(value) || !isRecord(value["source"]) || !isRecord(value["limits"]) || !isRecord(value["author"]))
    return false;
  const { source } = value;
  const texts = [value["id"], value["hostname"], source["repository"], source["mirrorPath"], source["branch"]];
  return typeof value["uid"] === "number" && texts.every((text) => typeof text === "string");
}

function isState(value: unknown): value is State {
  if (!isRecord(value) || !isRecord(value["holder"])) return false;
  const { pid, startTime, bootId } = value["holder"];
  if (typeof pid !== "number" || typeof startTime !== "number" || typeof bootId !== "string") return false;
  if (value["phase"] === "starting") return true;
  const { start } = value;
  if (value["phase"] !== "running" || !isRecord(start)) return false;
  return (
    typeof start["user"] === "string" && typeof start["workspaceFolder"] === "string" && isRecord(start["containerEnv"])
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
