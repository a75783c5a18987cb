/**
 * Who is served and what they may use, from the settings file and the key files that it names.
 *
 * Opened by `src/cmd`; asked by the gateway for the person of a key and by the controller for what they may use. Answers
 * come from memory: neither a disk nor a network is between a signature and its person.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Fault } from "../base/fault.ts";
import { repositoriesOf } from "../policy/grants.ts";
import { readAuthorizedKeys, sharedKeys } from "../wire/authorized-keys.ts";
import type { Person } from "../wire/person.ts";
import type { PersonSettings, RepositorySettings, Settings } from "../wire/settings.ts";

export interface Directory {
  /** The person of a public key in wire form (RFC 4253 section 6.6). */
  findByKey(blob: Buffer): Person | undefined;
  find(name: string): Person | undefined;
  /** The repositories that somebody of this name has a right to, in the order of the settings. */
  repositoriesOf(name: string): readonly RepositorySettings[];
  /**
   * Reads the key files again. Until it resolves, and when it rejects, the keys read before hold.
   *
   * @throws {Fault} `settings.invalid` as `openDirectory` does
   */
  reload(): Promise<void>;
}

/**
 * Reads the key files and makes the directory.
 *
 * @param folder what the paths of key files are relative to: the folder of the settings file
 * @throws {Fault} `settings.invalid` with every complaint about every key file, each with its line
 */
export async function openDirectory(
  settings: Pick<Settings, "people" | "repositories" | "grants">,
  folder: string,
): Promise<Directory> {
  const people = new Map(settings.people.map((person) => [person.name, personOf(person)]));
  const { grants, repositories } = settings;
  const granted = new Map([...people].map(([name, person]) => [name, repositoriesOf(person, grants, repositories)]));
  let keys = await readKeys(settings.people, folder);
  return {
    findByKey: (blob) => people.get(keys.get(blob.toString("base64")) ?? ""),
    find: (name) => people.get(name),
    repositoriesOf: (name) => granted.get(name) ?? [],
    reload: async () => {
      keys = await readKeys(settings.people, folder);
    },
  };
}

/** Who they are, without their keys. */
function personOf({ name, fullName, email, admin }: PersonSettings): Person {
  return { name, fullName, email, admin };
}

/** The name of the person of each key, by the key in base64. */
async function readKeys(people: readonly PersonSettings[], folder: string): Promise<ReadonlyMap<string, string>> {
  const complaints: string[] = [];
  const read = await Promise.all(
    people.map(async ({ name, keys, keysFile }) => {
      if (keysFile === undefined) return { name, keys };
      const file = await readKeysFile(keysFile, folder);
      complaints.push(...file.complaints);
      return { name, keys: [...keys, ...file.keys] };
    }),
  );
  for (const { first, later } of sharedKeys(read)) {
    complaints.push(`${later} has a key of ${first}: a key says who somebody is, so it belongs to one person`);
  }
  if (complaints.length > 0) {
    const text = `Cannot use the keys of people: ${complaints.length} problems\n${complaints.map((line) => `  ${line}`).join("\n")}`;
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
