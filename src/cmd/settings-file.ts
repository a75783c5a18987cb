/**
 * Reads the settings file: the text, and what it names by path.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { Fault } from "../base/fault.ts";
import { readKeys } from "../forge/settings-keys.ts";
import { checkSettings, namedKeysFiles, type Settings } from "../wire/settings.ts";

export interface ReadSettings {
  readonly settings: Settings;
  /** Path of the file; what it names by a relative path is relative to its folder. */
  readonly path: string;
}

/**
 * Reads and checks a settings file whole, with the files of keys that it names.
 *
 * @throws {Fault} `settings.invalid` with every complaint about all of them
 */
export async function readSettings(path: string): Promise<ReadSettings> {
  const text = readText(path);
  const folder = dirname(path);
  const settings = await checkWith(text, basename(path), folder);
  await readKeys(settings.people, folder);
  return { settings, path };
}

/** Checks the text; what is wrong with files of keys is told beside its own complaints. */
async function checkWith(text: string, source: string, folder: string): Promise<Settings> {
  try {
    return checkSettings(text, source);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const told = [error.told, ...(await complaintsOfKeys(text, folder))].join("\n");
    throw new Fault("settings.invalid", told, { told });
  }
}

async function complaintsOfKeys(text: string, folder: string): Promise<string[]> {
  try {
    await readKeys(
      namedKeysFiles(text).map((named) => ({ ...named, keys: [] })),
      folder,
    );
    return [];
  } catch (error) {
    if (error instanceof Fault) return [error.told];
    throw error;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const told = `${path} cannot be read; "slip help serve" says how to name another settings file`;
    throw new Fault("settings.invalid", `Cannot read the settings: ${told}`, { told, cause });
  }
}
