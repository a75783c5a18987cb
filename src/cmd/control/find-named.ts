/**
 * Finds whom and what an operator means: people and repositories by the names that people call them, or by id.
 *
 * Called by `access-book.ts`.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import { meantBy } from "../../base/nearest.ts";
import type { Access } from "../../forge/access/access.ts";
import type { Directory } from "../../forge/directory.ts";
import { idOfRef } from "../../wire/forge.ts";
import type { Person } from "../../wire/person.ts";
import type { Repository } from "../../wire/repository.ts";
import type { Settings } from "../../wire/settings.ts";

export interface NamedAmong {
  readonly settings: Pick<Settings, "people" | "repositories">;
  readonly directory: Pick<Directory, "find" | "repository">;
  /** Absent when no forge is connected. */
  readonly access?: Pick<Access, "accounts" | "repositories">;
}

interface Candidate<Thing> {
  readonly id: string;
  /** Every name that it goes by, longest first: the first one tells it from others. */
  readonly names: readonly string[];
  readonly thing: Thing;
}

/** Finds somebody by name, login, `forge/login`, `forge/number` or id. @throws {Fault} `access.unknown`, `access.ambiguous` */
export function findPerson(text: string, among: NamedAmong): Person {
  return only(text, peopleOf(among), "person");
}

/** Finds a repository by name, `owner/name`, `forge/owner/name` or id. @throws {Fault} as `findPerson` */
export function findRepository(text: string, among: NamedAmong): Repository {
  return only(text, repositoriesOf(among), "repository");
}

function* peopleOf({ settings, directory, access }: NamedAmong): Generator<Candidate<Person>> {
  for (const { id, name } of settings.people) {
    const person = directory.find(id);
    if (person !== undefined) yield { id, names: [name], thing: person };
  }
  for (const account of access?.accounts() ?? []) {
    const own = idOfRef(account);
    const person = directory.find(own);
    const { forge, login } = account;
    // Somebody of the settings goes by what the forge calls them, too.
    if (person !== undefined) {
      yield { id: person.id, names: [`${forge}/${login}`, login, own, `${forge}/${account.id}`], thing: person };
    }
  }
}

function* repositoriesOf({ settings, directory, access }: NamedAmong): Generator<Candidate<Repository>> {
  for (const { name } of settings.repositories) {
    const repository = directory.repository(name);
    if (repository !== undefined) yield { id: name, names: [name], thing: repository };
  }
  for (const facts of access?.repositories() ?? []) {
    const id = idOfRef(facts);
    const repository = directory.repository(id);
    const { forge, owner, name } = facts;
    if (repository !== undefined) {
      yield { id, names: [`${forge}/${owner}/${name}`, `${owner}/${name}`, name, id], thing: repository };
    }
  }
}

function only<Thing>(text: string, candidates: Iterable<Candidate<Thing>>, what: string): Thing {
  const wanted = text.toLowerCase();
  const found = new Map<string, Candidate<Thing>>();
  const known = new Set<string>();
  for (const candidate of candidates) {
    for (const name of candidate.names) known.add(name);
    if (candidate.names.some((name) => name.toLowerCase() === wanted)) found.set(candidate.id, candidate);
  }
  const [first, ...others] = found.values();
  if (first === undefined) {
    const meant = meantBy(text, known);
    const told = `no ${what} is known as ${JSON.stringify(text)}${meant === undefined ? "" : `; did you mean "${meant}"?`}`;
    throw new Fault("access.unknown", `Cannot answer: ${told}`, { told });
  }
  if (others.length > 0) {
    const choices = [first, ...others].slice(0, 10).map(({ id, names: [name = ""] }) => `${name} (${id})`);
    const told = `${JSON.stringify(text)} may be ${choices.join(" or ")}: say which`;
    throw new Fault("access.ambiguous", `Cannot answer: ${told}`, { told });
  }
  return first.thing;
}
