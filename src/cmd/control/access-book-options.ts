/**
 * What the answers about access are made from: settings, directory, forges.
 *
 * Used by `access-book.ts` and what it consists of.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import type { Access } from "../../forge/access/access.ts";
import type { Directory } from "../../forge/directory.ts";
import type { Person } from "../../wire/person.ts";
import type { Repository } from "../../wire/repository.ts";
import type { Settings } from "../../wire/settings.ts";

export interface AccessBookOptions {
  readonly settings: Pick<Settings, "people" | "repositories" | "grants" | "forges" | "authorizedKeys">;
  readonly directory: Pick<Directory, "find" | "repository" | "whose">;
  /** Absent when no forge is connected. */
  readonly access?: Access;
  /** The name of the person of each key that the settings say, by the key in base64. */
  readonly readKeys: () => Promise<ReadonlyMap<string, string>>;
  readonly clock: Clock;
}

/** What people call a repository. */
export function nameOf({ owner, name, forge }: Repository): string {
  return forge === undefined || owner === undefined ? name : `${owner}/${name}`;
}

/** Gives what forges say. @throws {Fault} `access.unknown` when none is connected */
export function need(access: Access | undefined): Access {
  if (access !== undefined) return access;
  const told = "no forge is connected";
  throw new Fault("access.unknown", `Cannot ask about access: ${told}`, { told });
}

/** Lists the keys of somebody that prove to be them: those of the settings, and those that their forge lists. */
export function keysOf(
  person: Person,
  own: ReadonlyMap<string, string>,
  { access, directory }: Pick<AccessBookOptions, "access" | "directory">,
): { readonly vouchedFor: readonly string[]; readonly listed: readonly string[] } {
  const account = person.account === undefined ? undefined : access?.account(person.account);
  const isTheirs = (key: string): boolean => {
    const whose = directory.whose(key);
    return whose?.type === "person" && whose.person.id === person.id;
  };
  const vouchedFor = [...own].flatMap(([key, name]) => (name === person.id && isTheirs(key) ? [key] : []));
  const listed = (account?.keys ?? []).filter((key) => !vouchedFor.includes(key) && isTheirs(key));
  return { vouchedFor, listed };
}
