/**
 * Reads the settings file: the text, and what it names by path.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { Fault } from "../base/fault.ts";
import { checkSettings, type Settings } from "../wire/settings.ts";

export interface ReadSettings {
  readonly settings: Settings;
  /** Path of the file; what it names by a relative path is relative to its folder. */
  readonly path: string;
}

/** Reads and checks a settings file whole. @throws {Fault} `settings.invalid` with every complaint */
export function readSettings(path: string): ReadSettings {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const told = `${path} cannot be read; "slip help serve" says how to name another settings file`;
    throw new Fault("settings.invalid", `Cannot read the settings: ${told}`, { told, cause });
  }
  return { settings: checkSettings(text, basename(path)), path };
}
