/**
 * The keys of the people in the settings: those written there, and those in the files that it names.
 *
 * Called by `directory.ts`, and by `cmd/` before anything is opened.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Fault } from "../base/fault.ts";
import { readAuthorizedKeys, sharedKeys } from "../wire/authorized-keys.ts";
import type { PersonSettings } from "../wire/settings.ts";

/**
 * Reads the name of the person of each key, by the key in base64.
 *
 * @param folder what the paths of key files are relative to: the folder of the settings file
 * @throws {Fault} `settings.invalid` with every complaint about every key file, each with its line
 */
export async function readKeys(
  people: readonly Pick<PersonSettings, "name" | "keys" | "keysFile">[],
  folder: string,
): Promise<ReadonlyMap<string, string>> {
  const read = await Promise.all(
    people.map(async ({ name, keys, keysFile }) => {
      if (keysFile === undefined) return { name, keys, complaints: [] };
      const file = await readKeysFile(keysFile, folder);
      return { name, keys: [...keys, ...file.keys], complaints: file.complaints };
    }),
  );
  const shared = sharedKeys(read).map(
    ({ first, later }) => `${later} has a key of ${first}: a key says who somebody is, so it belongs to one person`,
  );
  const complaints = [...read.flatMap((person) => person.complaints), ...shared];
  if (complaints.length > 0) {
    const head = `Cannot use the keys of people: ${complaints.length} ${complaints.length === 1 ? "problem" : "problems"}`;
    const text = [head, ...complaints.map((line) => `  ${line}`)].join("\n");
    throw new Fault("settings.invalid", text, { told: text });
  }
  return new Map(read.flatMap(({ name, keys }) => keys.map(({ blob }) => [blob, name] as const)));
}

async function readKeysFile(path: string, folder: string) {
  try {
    return readAuthorizedKeys(await readFile(resolve(folder, path), "utf8"), path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    return { keys: [], complaints: [`${path}: cannot be read (${String(error.code)})`] };
  }
}
