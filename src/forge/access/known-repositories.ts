/**
 * The repositories that are known, by number at the forge and by name, with everybody's roles. In memory; filled by
 * `known.ts`.
 *
 * @module
 */
import { type ForgeRef, idOfRef, type RepositoryFacts } from "../../wire/forge.ts";
import { RoleTable } from "./role-table.ts";

export interface KnownRepository {
  facts: RepositoryFacts;
  readonly roles: RoleTable;
  /** Request that its state was answered by; `undefined` after a restart. */
  stateSource: string | undefined;
}

export class KnownRepositories {
  readonly #byId = new Map<string, KnownRepository>();
  /** By name in lower case; those that are gone are not in it. */
  readonly #byName = new Map<string, readonly KnownRepository[]>();

  find(repository: ForgeRef): KnownRepository | undefined {
    return this.#byId.get(idOfRef(repository));
  }

  all(): Iterable<KnownRepository> {
    return this.#byId.values();
  }

  get size(): number {
    return this.#byId.size;
  }

  add(facts: RepositoryFacts): KnownRepository {
    const repository = { facts, roles: new RoleTable(), stateSource: undefined };
    this.#byId.set(idOfRef(facts), repository);
    this.#name(repository);
    return repository;
  }

  set(repository: KnownRepository, facts: RepositoryFacts): void {
    const { name, state } = repository.facts;
    if (name === facts.name && state === facts.state) {
      repository.facts = facts;
      return;
    }
    this.#unname(repository);
    repository.facts = facts;
    this.#name(repository);
  }

  /** Connected ones of this name, or, with `prefix`, those whose name and a "-" begin it. */
  named(name: string, { prefix }: { readonly prefix: boolean } = { prefix: false }): RepositoryFacts[] {
    const wanted = name.toLowerCase();
    if (!prefix) return this.#factsOf(wanted);
    const found: RepositoryFacts[] = [];
    for (let dash = wanted.indexOf("-"); dash !== -1; dash = wanted.indexOf("-", dash + 1)) {
      found.push(...this.#factsOf(wanted.slice(0, dash)));
    }
    return found;
  }

  #factsOf(name: string): RepositoryFacts[] {
    return (this.#byName.get(name) ?? []).map(({ facts }) => facts);
  }

  #name(repository: KnownRepository): void {
    if (repository.facts.state === "gone") return;
    const name = repository.facts.name.toLowerCase();
    this.#byName.set(name, [...(this.#byName.get(name) ?? []), repository]);
  }

  #unname(repository: KnownRepository): void {
    const name = repository.facts.name.toLowerCase();
    const rest = (this.#byName.get(name) ?? []).filter((named) => named !== repository);
    if (rest.length === 0) this.#byName.delete(name);
    else this.#byName.set(name, rest);
  }
}
