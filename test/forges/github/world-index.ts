/**
 * What there is in a made-up GitHub, found by the names and numbers that it has now.
 *
 * @module
 */
import type { Entities, Organization, Owner, Repository, Team, User } from "./entities.ts";

/** Looks things up. `World` adds what changes them, and keeps the names here up to date. */
export class WorldIndex {
  readonly entities: Entities;
  /** Names in lower case. */
  readonly #ownerIds = new Map<string, number>();
  readonly #repositoryIds = new Map<string, number>();
  readonly #teamIds = new Map<number, Set<number>>();

  constructor(entities: Entities) {
    this.entities = entities;
    for (const owner of entities.owners.values()) this.indexOwner(owner);
    for (const repository of entities.repositories.values()) this.indexRepository(repository);
    for (const team of entities.teams.values()) this.indexTeam(team);
  }

  get owners(): ReadonlyMap<number, Owner> {
    return this.entities.owners;
  }

  get teams(): ReadonlyMap<number, Team> {
    return this.entities.teams;
  }

  get repositories(): ReadonlyMap<number, Repository> {
    return this.entities.repositories;
  }

  findOwner(login: string): Owner | undefined {
    return this.owners.get(this.#ownerIds.get(login.toLowerCase()) ?? -1);
  }

  /** By the name it has now. */
  findRepository(fullName: string): Repository | undefined {
    return this.repositories.get(this.#repositoryIds.get(fullName.toLowerCase()) ?? -1);
  }

  /** By a name that it had once. */
  findMoved(fullName: string): Repository | undefined {
    return this.repositories.get(this.entities.redirects.get(fullName.toLowerCase()) ?? -1);
  }

  user(login: string): User {
    const found = this.findOwner(login);
    if (found?.type !== "User") throw new Error(`Cannot find user "${login}": there is none`);
    return found;
  }

  organization(login: string): Organization {
    const found = this.findOwner(login);
    if (found?.type !== "Organization") throw new Error(`Cannot find organisation "${login}": there is none`);
    return found;
  }

  repository(fullName: string): Repository {
    const found = this.findRepository(fullName);
    if (found === undefined) throw new Error(`Cannot find repository "${fullName}": there is none`);
    return found;
  }

  /** @param path as in `acme/builders`, with the slug */
  team(path: string): Team {
    const [login = "", slug] = path.split("/");
    const found = this.teamsOf(this.organization(login).id).find((team) => team.slug === slug);
    if (found === undefined) throw new Error(`Cannot find team "${path}": there is none`);
    return found;
  }

  teamsOf(organizationId: number): Team[] {
    return [...(this.#teamIds.get(organizationId) ?? [])].flatMap((id) => this.teams.get(id) ?? []);
  }

  repositoriesOf(ownerId: number): Repository[] {
    return [...this.repositories.values()].filter((repository) => repository.ownerId === ownerId);
  }

  owner(id: number): Owner {
    const found = this.owners.get(id);
    if (found === undefined) throw new Error(`Cannot find account ${id}: there is none`);
    return found;
  }

  fullName(repository: Repository): string {
    return `${this.owner(repository.ownerId).login}/${repository.name}`;
  }

  protected indexOwner(owner: Owner): void {
    this.#ownerIds.set(owner.login.toLowerCase(), owner.id);
  }

  protected forgetOwner(login: string): void {
    this.#ownerIds.delete(login.toLowerCase());
  }

  /** Its name leads to it from now on, and to nothing that had it before. */
  protected indexRepository(repository: Repository): void {
    const name = this.fullName(repository).toLowerCase();
    this.#repositoryIds.set(name, repository.id);
    this.entities.redirects.delete(name);
  }

  /** Under the name that it still has. */
  protected forgetRepository(repository: Repository): void {
    this.#repositoryIds.delete(this.fullName(repository).toLowerCase());
  }

  protected indexTeam(team: Team): void {
    const ids = this.#teamIds.get(team.organizationId) ?? new Set();
    this.#teamIds.set(team.organizationId, ids.add(team.id));
  }

  protected forgetTeam(team: Team): void {
    this.#teamIds.get(team.organizationId)?.delete(team.id);
  }
}
