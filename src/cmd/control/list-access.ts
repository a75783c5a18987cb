/**
 * Lists who may use what.
 *
 * Called by `access-book.ts`.
 *
 * @module
 */
import { setImmediate } from "node:timers/promises";
import { Fault } from "../../base/fault.ts";
import { mayOpenEnvironment } from "../../policy/grants.ts";
import type { AccessRow, Asked } from "../../wire/control.ts";
import { idOfRef } from "../../wire/forge.ts";
import type { Person } from "../../wire/person.ts";
import type { Repository } from "../../wire/repository.ts";
import { type AccessBookOptions, keysOf, nameOf, need } from "./access-book-options.ts";
import { findPerson, findRepository } from "./find-named.ts";

/** Each repository's list may have to be asked for: more have to be named one by one (guess). */
const REPOSITORIES_MAX = 200;

/** After so many, others have their turn. */
const AT_ONCE = 500;

/** What rows are made from. */
interface Listing extends AccessBookOptions {
  readonly own: ReadonlyMap<string, string>;
  readonly signal: AbortSignal;
}

/**
 * Lists everybody who may use what was asked for. The lists of repositories are verified now; of one person, their account
 * is, and each row says of when their role in a repository is known.
 *
 * @throws {Fault} `access.unknown`, `access.ambiguous`; `forge.unreached` when nobody can say, even by the last good
 * answer; `usage.wrong` when it would be too much to ask for
 */
export async function listAccess(
  asked: Asked<"/access/list">,
  options: AccessBookOptions,
  signal: AbortSignal,
): Promise<AccessRow[]> {
  const listing: Listing = { ...options, own: await options.readKeys(), signal };
  const person = asked.person === undefined ? undefined : findPerson(asked.person, options);
  const repositories =
    asked.repository === undefined ? allRepositories(options) : [findRepository(asked.repository, options)];
  if (person !== undefined) return rowsOfPerson(person, repositories, listing);
  if (repositories.length > REPOSITORIES_MAX) {
    const told = `there are ${repositories.length} repositories: name one with --repository, or somebody with --person`;
    throw new Fault("usage.wrong", `Cannot list: ${told}`, { told });
  }
  const rows: AccessRow[] = [];
  for (const repository of repositories) rows.push(...(await rowsOfRepository(repository, listing)));
  return rows;
}

function allRepositories({ settings, access, directory }: AccessBookOptions): Repository[] {
  const ids = [...settings.repositories.map(({ name }) => name), ...[...(access?.repositories() ?? [])].map(idOfRef)];
  return ids.flatMap((id) => directory.repository(id) ?? []);
}

async function rowsOfRepository(repository: Repository, listing: Listing): Promise<AccessRow[]> {
  const { access, directory, settings, own, signal } = listing;
  if (repository.forge === undefined) {
    const people = settings.people.flatMap(({ id }) => directory.find(id) ?? []);
    const rows = await Promise.all(people.map(async (person) => rowOfGrant(person, repository, listing)));
    return rows.flat();
  }
  const { accounts, verifiedAt, isStale } = await need(access).listAllowed(repository.forge, signal);
  return accounts.flatMap((account) => {
    const person = directory.find(idOfRef(account));
    if (person === undefined || account.role === "none") return [];
    const { vouchedFor, listed } = keysOf(person, own, listing);
    const keyCount = vouchedFor.length + listed.filter((key) => account.keys.includes(key)).length;
    const at = new Date(verifiedAt).toISOString();
    return [{ ...headOf(person, repository), route: "forge", role: account.role, keyCount, verifiedAt: at, isStale }];
  });
}

async function rowsOfPerson(
  person: Person,
  repositories: readonly Repository[],
  listing: Listing,
): Promise<AccessRow[]> {
  const { access, own, signal } = listing;
  const { account } = person;
  if (account !== undefined) await need(access).decide({ account }, signal);
  const { vouchedFor, listed } = keysOf(person, own, listing);
  const rows: AccessRow[] = [];
  for (const [at, repository] of repositories.entries()) {
    if (at % AT_ONCE === AT_ONCE - 1) await setImmediate(undefined, { signal });
    if (repository.forge === undefined) {
      rows.push(...(await rowOfGrant(person, repository, listing)));
    } else if (account?.forge === repository.forge.forge) {
      const decision = need(access).judge({ account, repository: repository.forge });
      if (!decision.allowed || decision.role === "none") continue;
      const { role, isStale } = decision;
      const verifiedAt = new Date(decision.verifiedAt).toISOString();
      const keyCount = vouchedFor.length + listed.length;
      rows.push({ ...headOf(person, repository), route: "forge", role, keyCount, verifiedAt, isStale });
    }
  }
  return rows;
}

async function rowOfGrant(person: Person, repository: Repository, listing: Listing): Promise<AccessRow[]> {
  const { access, settings, own, signal } = listing;
  const isListed = settings.people.some(({ id }) => id === person.id);
  if (!isListed || !mayOpenEnvironment({ name: person.id }, repository.name, settings.grants)) return [];
  const { vouchedFor, listed } = keysOf(person, own, listing);
  const keyCount = vouchedFor.length + listed.length;
  const row = { ...headOf(person, repository), route: "grant", keyCount, isStale: false } as const;
  if (person.account === undefined || vouchedFor.length > 0) return [row];
  // Only the forge says which keys are theirs.
  const decision = await need(access).decide({ account: person.account }, signal);
  if (!decision.allowed) return [];
  return [{ ...row, verifiedAt: new Date(decision.verifiedAt).toISOString(), isStale: decision.isStale }];
}

function headOf(person: Person, repository: Repository): Pick<AccessRow, "person" | "login" | "repository"> {
  return { person: person.id, login: person.name, repository: nameOf(repository) };
}
