/**
 * Lists who may use what.
 *
 * Called by `access-book.ts`.
 *
 * @module
 */
import { setImmediate } from "node:timers/promises";
import { Fault } from "../../base/fault.ts";
import type { Decision } from "../../forge/access/access.ts";
import { mayOpenEnvironment } from "../../policy/grants.ts";
import type { AccessRow, Asked } from "../../wire/control.ts";
import { idOfRef } from "../../wire/forge.ts";
import type { Person } from "../../wire/person.ts";
import type { Repository } from "../../wire/repository.ts";
import { type AccessBookOptions, keysOf, nameOf } from "./access-book-options.ts";
import { findPerson, findRepository } from "./find-named.ts";

/** Pairs of people and repositories that one listing looks at; some 4 µs each (guess). */
const PAIRS_MAX = 500_000;
/** After so many, others have their turn. */
const PAIRS_AT_ONCE = 500;

/**
 * Lists everybody who may use what was asked for. One repository's list is verified now; anything wider comes from what
 * is known, and each row says of when that is.
 *
 * @throws {Fault} `access.unknown`, `access.ambiguous`; `usage.wrong` when it would be too much to list
 */
export async function listAccess(
  asked: Asked<"/access/list">,
  options: AccessBookOptions,
  signal: AbortSignal,
): Promise<AccessRow[]> {
  const person = asked.person === undefined ? undefined : findPerson(asked.person, options);
  const repository = asked.repository === undefined ? undefined : findRepository(asked.repository, options);
  const people = person === undefined ? await peopleFor(repository, options, signal) : [person];
  const repositories = repository === undefined ? allRepositories(options) : [repository];
  if (people.length * repositories.length > PAIRS_MAX) {
    const told = `there are ${people.length} people and ${repositories.length} repositories: name one, with --person or --repository`;
    throw new Fault("usage.wrong", `Cannot list: ${told}`, { told });
  }
  const own = await options.readKeys();
  const rows: AccessRow[] = [];
  let count = 0;
  for (const at of repositories) {
    for (const who of people) {
      count += 1;
      if (count % PAIRS_AT_ONCE === 0) await setImmediate(undefined, { signal });
      rows.push(...rowOf({ person: who, repository: at }, own, options));
    }
  }
  return rows;
}

async function peopleFor(
  repository: Repository | undefined,
  options: AccessBookOptions,
  signal: AbortSignal,
): Promise<Person[]> {
  const { access, settings, directory } = options;
  const listed = settings.people.map(({ id }) => id);
  const asked = repository?.forge === undefined || access === undefined ? undefined : repository.forge;
  const accounts =
    access === undefined
      ? []
      : asked === undefined
        ? [...access.accounts()]
        : (await access.listAllowed(asked, signal)).accounts;
  // Somebody of the settings who has an account is one person.
  const people = [...listed, ...accounts.map((account) => idOfRef(account))].map((id) => directory.find(id));
  return [...new Map(people.flatMap((person) => (person === undefined ? [] : [[person.id, person]]))).values()];
}

function allRepositories({ settings, access, directory }: AccessBookOptions): Repository[] {
  const ids = [...settings.repositories.map(({ name }) => name), ...[...(access?.repositories() ?? [])].map(idOfRef)];
  return ids.map((id) => directory.repository(id)).filter((repository) => repository !== undefined);
}

function rowOf(
  { person, repository }: { readonly person: Person; readonly repository: Repository },
  own: ReadonlyMap<string, string>,
  options: AccessBookOptions,
): AccessRow[] {
  const head = { person: person.id, login: person.name, repository: nameOf(repository) };
  const keys = keysOf(person, own, options);
  const { account } = person;
  const judge = (): Decision | undefined =>
    account === undefined
      ? undefined
      : options.access?.judge({ account, ...(repository.forge === undefined ? {} : { repository: repository.forge }) });
  if (repository.forge === undefined) {
    const isGranted =
      options.settings.people.some(({ id }) => id === person.id) && isGrantedTo(person, repository, options);
    const isVouchedFor = account === undefined || keys.some((key) => key.isVouchedFor);
    const decision = isGranted && !isVouchedFor ? judge() : undefined;
    if (!isGranted || decision?.allowed === false) return [];
    return [{ ...head, route: "grant", keyCount: keys.length, ...ageOf(decision) }];
  }
  if (account?.forge !== repository.forge.forge) return [];
  const decision = judge();
  if (decision?.allowed !== true) return [];
  const role = decision.role === "none" ? {} : { role: decision.role };
  return [{ ...head, route: "forge", ...role, keyCount: keys.length, ...ageOf(decision) }];
}

function isGrantedTo(person: Person, { name }: Repository, { settings }: AccessBookOptions): boolean {
  return mayOpenEnvironment({ name: person.id }, name, settings.grants);
}

function ageOf(decision: Decision | undefined): Pick<AccessRow, "verifiedAt" | "isStale"> {
  if (decision?.allowed !== true) return { isStale: false };
  return { verifiedAt: new Date(decision.verifiedAt).toISOString(), isStale: decision.isStale };
}
