/**
 * Who may use what. A person has a right to a repository when a grant names both; being an admin opens no repository.
 *
 * Called by `forge/` and `controller/`.
 *
 * @module
 */
import type { Grant, Person } from "../wire/person.ts";

/** Says whether a person may have environments of a repository. */
export function mayOpenEnvironment(
  person: Pick<Person, "name">,
  repository: string,
  grants: readonly Grant[],
): boolean {
  return grants.some((grant) => names(grant.people, person.name) && names(grant.repositories, repository));
}

/** Lists the repositories that a person may use, in the order they came in. */
export function repositoriesOf<Repository extends { readonly name: string }>(
  person: Pick<Person, "name">,
  grants: readonly Grant[],
  repositories: readonly Repository[],
): Repository[] {
  return repositories.filter(({ name }) => mayOpenEnvironment(person, name, grants));
}

function names(given: "*" | readonly string[], name: string): boolean {
  return given === "*" || given.includes(name);
}
