/**
 * The accounts, repositories and rights of a made-up GitHub, moved by tests. Each change tells what GitHub would send a
 * webhook for, and only that: of keys, suspended people, renamed people and base permissions it sends none.
 *
 * Accounts and repositories are named as people name them (`ada`, `acme/shop`); what names nothing throws.
 *
 * @module
 */
import type {
  BasePermission,
  Entities,
  Key,
  Organization,
  Owner,
  Permission,
  Repository,
  Team,
  User,
} from "./entities.ts";
import { WorldIndex } from "./world-index.ts";
import type { WorldEvent } from "./world-event.ts";

export interface WorldOptions {
  now(): number;
  onEvent(event: WorldEvent): void;
  /** Whether people who are suspended are still counted as collaborators. @default false */
  readonly countsSuspended?: boolean;
}

export interface PersonSpec {
  readonly login: string;
  readonly name?: string | null;
  readonly email?: string | null;
  /** Lines of public keys; a comment is dropped, as GitHub does. */
  readonly keys?: readonly string[];
}

export interface RepositorySpec {
  /** @default true */
  readonly isPrivate?: boolean;
  readonly isArchived?: boolean;
  /** @default "main" */
  readonly defaultBranch?: string;
}

export class World extends WorldIndex {
  readonly #options: WorldOptions;
  readonly #lastIds = new Map<string, number>();

  constructor(options: WorldOptions, entities: Entities = makeEntities()) {
    super(entities);
    this.#options = options;
  }

  get countsSuspended(): boolean {
    return this.#options.countsSuspended ?? false;
  }

  /** This world as it is now, which nothing changes any more and nothing is heard from. */
  copy(): World {
    return new World({ ...this.#options, onEvent: () => undefined }, structuredClone(this.entities));
  }

  // People.

  /** Registers a login, which may have been somebody else's before. */
  addUser(spec: PersonSpec): User {
    this.#claim(spec.login);
    const user: User = {
      ...{ type: "User", id: this.nextId("account"), login: spec.login, createdAt: this.now() },
      ...{ name: spec.name ?? null, email: spec.email ?? null, keys: [], isSuspended: false },
    };
    this.#addOwner(user);
    for (const line of spec.keys ?? []) this.addKey(spec.login, line);
    return user;
  }

  addKey(login: string, line: string): Key {
    const [kind = "", base64 = ""] = line.trim().split(/\s+/);
    const key = { id: this.nextId("key"), line: `${kind} ${base64}`, createdAt: this.now() };
    this.user(login).keys.push(key);
    return key;
  }

  /** @param line the key, or its beginning; all keys without it */
  removeKey(login: string, line?: string): void {
    const user = this.user(login);
    const [kind = "", base64 = ""] = (line ?? "").trim().split(/\s+/);
    user.keys = user.keys.filter((key) => line !== undefined && !key.line.startsWith(`${kind} ${base64}`.trim()));
  }

  suspend(login: string, isSuspended = true): void {
    this.user(login).isSuspended = isSuspended;
  }

  /** The old login is free for others; repositories under it are still found, until somebody takes their names. */
  renameOwner(login: string, to: string): void {
    const owner = this.findOwner(login);
    if (owner === undefined) throw new Error(`Cannot rename "${login}": there is no such account`);
    this.#claim(to);
    const before = owner.login;
    for (const repository of this.repositoriesOf(owner.id)) this.#giveUpName(repository);
    this.forgetOwner(before);
    owner.login = to;
    this.indexOwner(owner);
    for (const repository of this.repositoriesOf(owner.id)) this.indexRepository(repository);
    if (owner.type === "Organization")
      this.#tell({ name: "organization", action: "renamed", organization: owner, before });
    this.#tell({ name: "installation_target", action: "renamed", account: owner, before });
  }

  /** Deletes an account with its repositories. The login is free for others. */
  deleteOwner(login: string): void {
    const owner = this.findOwner(login);
    if (owner === undefined) throw new Error(`Cannot delete "${login}": there is no such account`);
    if (owner.type === "Organization") this.#tell({ name: "organization", action: "deleted", organization: owner });
    for (const repository of this.repositoriesOf(owner.id)) this.deleteRepository(this.fullName(repository));
    for (const team of this.teamsOf(owner.id)) this.#dropTeam(team);
    for (const installation of [...this.entities.installations.values()]) {
      if (installation.accountId === owner.id) this.entities.installations.delete(installation.id);
    }
    for (const repository of this.repositories.values()) repository.collaborators.delete(owner.id);
    for (const team of this.teams.values()) team.memberIds.delete(owner.id);
    for (const other of this.owners.values()) if (other.type === "Organization") other.members.delete(owner.id);
    this.entities.owners.delete(owner.id);
    this.forgetOwner(owner.login);
  }

  // Organisations and teams.

  addOrganization(login: string, basePermission: BasePermission = "none"): Organization {
    this.#claim(login);
    const organization: Organization = {
      ...{ type: "Organization", id: this.nextId("account"), login, createdAt: this.now(), basePermission },
      ...{ members: new Map(), publicMemberIds: new Set() },
    };
    this.#addOwner(organization);
    return organization;
  }

  /** Of this GitHub sends no webhook. */
  setBasePermission(login: string, permission: BasePermission): void {
    this.organization(login).basePermission = permission;
  }

  /** Makes somebody a member or owner; changing one into the other is told to nobody. */
  setMember(login: string, person: string, role: "member" | "admin" = "member"): void {
    const organization = this.organization(login);
    const user = this.user(person);
    const isNew = !organization.members.has(user.id);
    organization.members.set(user.id, role);
    if (isNew) this.#tell({ name: "organization", action: "member_added", organization, user, role });
  }

  /** Takes somebody out of an organisation, its teams and the repositories that they had of it. */
  removeMember(login: string, person: string): void {
    const organization = this.organization(login);
    const user = this.user(person);
    const role = organization.members.get(user.id);
    if (role === undefined) throw new Error(`Cannot remove "${person}" from "${login}": they are no member`);
    organization.members.delete(user.id);
    organization.publicMemberIds.delete(user.id);
    for (const team of this.teamsOf(organization.id)) team.memberIds.delete(user.id);
    for (const repository of this.repositoriesOf(organization.id)) repository.collaborators.delete(user.id);
    this.#tell({ name: "organization", action: "member_removed", organization, user, role });
  }

  /** @param path as in `acme/builders` */
  addTeam(path: string, options: { readonly parent?: string } = {}): Team {
    const [login = "", slug = ""] = path.split("/");
    const organization = this.organization(login);
    const parentId = options.parent === undefined ? undefined : this.team(options.parent).id;
    const team: Team = {
      ...{ id: this.nextId("team"), organizationId: organization.id, name: slug, slug, parentId },
      ...{ memberIds: new Set(), repositories: new Map() },
    };
    this.entities.teams.set(team.id, team);
    this.indexTeam(team);
    this.#tell({ name: "team", action: "created", team });
    return team;
  }

  deleteTeam(path: string): void {
    const team = this.team(path);
    this.#tell({ name: "team", action: "deleted", team });
    this.#dropTeam(team);
  }

  /** Adds somebody to a team, and to its organisation if they are no member yet. */
  addToTeam(path: string, person: string): void {
    const team = this.team(path);
    const user = this.user(person);
    const organization = this.organization(path.split("/")[0] ?? "");
    if (!organization.members.has(user.id)) this.setMember(organization.login, person);
    team.memberIds.add(user.id);
    this.#tell({ name: "membership", action: "added", team, user });
  }

  removeFromTeam(path: string, person: string): void {
    const team = this.team(path);
    const user = this.user(person);
    team.memberIds.delete(user.id);
    this.#tell({ name: "membership", action: "removed", team, user });
  }

  /** Gives a team a permission in a repository, or another one. */
  setTeamPermission(path: string, fullName: string, permission: Permission): void {
    const team = this.team(path);
    const repository = this.repository(fullName);
    const before = team.repositories.get(repository.id);
    team.repositories.set(repository.id, permission);
    if (before === undefined) this.#tell({ name: "team", action: "added_to_repository", team, repository });
    else this.#tell({ name: "team", action: "edited", team, repository, before });
  }

  removeTeamPermission(path: string, fullName: string): void {
    const team = this.team(path);
    const repository = this.repository(fullName);
    team.repositories.delete(repository.id);
    this.#tell({ name: "team", action: "removed_from_repository", team, repository });
  }

  // Repositories.

  addRepository(fullName: string, spec: RepositorySpec = {}): Repository {
    const [login = "", name = ""] = fullName.split("/");
    const owner = this.findOwner(login);
    if (owner === undefined) throw new Error(`Cannot add "${fullName}": there is no account "${login}"`);
    if (this.findRepository(fullName) !== undefined) throw new Error(`Cannot add "${fullName}": there is one`);
    const repository: Repository = {
      ...{ id: this.nextId("repository"), ownerId: owner.id, name, defaultBranch: spec.defaultBranch ?? "main" },
      ...{ isPrivate: spec.isPrivate ?? true, isArchived: spec.isArchived ?? false, collaborators: new Map() },
      ...{ createdAt: this.now(), updatedAt: this.now() },
    };
    this.entities.repositories.set(repository.id, repository);
    this.indexRepository(repository);
    this.#tell({ name: "repository", action: "created", repository });
    return repository;
  }

  deleteRepository(fullName: string): void {
    const repository = this.repository(fullName);
    this.#tell({ name: "repository", action: "deleted", repository });
    this.entities.repositories.delete(repository.id);
    this.forgetRepository(repository);
    for (const team of this.teams.values()) team.repositories.delete(repository.id);
    for (const { repositoryIds } of this.entities.installations.values()) repositoryIds?.delete(repository.id);
  }

  archive(fullName: string, isArchived = true): void {
    const repository = this.#touch(fullName);
    repository.isArchived = isArchived;
    this.#tell({ name: "repository", action: isArchived ? "archived" : "unarchived", repository });
  }

  setPrivate(fullName: string, isPrivate: boolean): void {
    const repository = this.#touch(fullName);
    repository.isPrivate = isPrivate;
    this.#tell({ name: "repository", action: isPrivate ? "privatized" : "publicized", repository });
  }

  renameRepository(fullName: string, to: string): void {
    const repository = this.#touch(fullName);
    const before = repository.name;
    this.#giveUpName(repository);
    repository.name = to;
    this.indexRepository(repository);
    this.#tell({ name: "repository", action: "renamed", repository, before });
  }

  /** Moves a repository. Teams of the old owner lose it, and so do installations that are not on the new one. */
  transfer(fullName: string, toLogin: string): void {
    const repository = this.#touch(fullName);
    const before = this.owner(repository.ownerId);
    const to = this.findOwner(toLogin);
    if (to === undefined) throw new Error(`Cannot transfer "${fullName}": there is no account "${toLogin}"`);
    this.#giveUpName(repository);
    for (const team of this.teamsOf(before.id)) team.repositories.delete(repository.id);
    repository.ownerId = to.id;
    this.indexRepository(repository);
    this.#tell({ name: "repository", action: "transferred", repository, before });
    for (const installation of this.entities.installations.values()) {
      if (installation.accountId !== before.id) continue;
      if (installation.repositoryIds?.delete(repository.id) === false) continue;
      this.#tell({ name: "installation_repositories", action: "removed", installation, repositories: [repository] });
    }
  }

  /** Gives somebody a permission of their own, or another one. */
  setCollaborator(fullName: string, person: string, permission: Permission): void {
    const repository = this.repository(fullName);
    const user = this.user(person);
    const before = repository.collaborators.get(user.id);
    repository.collaborators.set(user.id, permission);
    if (before === undefined) this.#tell({ name: "member", action: "added", repository, user, permission });
    else this.#tell({ name: "member", action: "edited", repository, user, permission, before });
  }

  removeCollaborator(fullName: string, person: string): void {
    const repository = this.repository(fullName);
    const user = this.user(person);
    repository.collaborators.delete(user.id);
    this.#tell({ name: "member", action: "removed", repository, user });
  }

  // For those beside it that add more kinds of things.

  /** Kinds count by themselves, so that a number of one is one of another too, and who mixes them up is found out. */
  nextId(kind: "account" | "repository" | "team" | "key" | "app" | "installation"): number {
    const id = (this.#lastIds.get(kind) ?? 1_000) + 1;
    this.#lastIds.set(kind, id);
    return id;
  }

  now(): number {
    return this.#options.now();
  }

  tell(event: WorldEvent): void {
    this.#tell(event);
  }

  #tell(event: WorldEvent): void {
    this.#options.onEvent(event);
  }

  #claim(login: string): void {
    if (this.findOwner(login) !== undefined) throw new Error(`Cannot register "${login}": it is taken`);
  }

  #addOwner(owner: Owner): void {
    this.entities.owners.set(owner.id, owner);
    this.indexOwner(owner);
  }

  #giveUpName(repository: Repository): void {
    this.forgetRepository(repository);
    this.entities.redirects.set(this.fullName(repository).toLowerCase(), repository.id);
  }

  #dropTeam(team: Team): void {
    this.entities.teams.delete(team.id);
    this.forgetTeam(team);
    for (const child of this.teamsOf(team.organizationId)) if (child.parentId === team.id) this.#dropTeam(child);
  }

  #touch(fullName: string): Repository {
    const repository = this.repository(fullName);
    repository.updatedAt = this.now();
    return repository;
  }
}

function makeEntities(): Entities {
  return {
    ...{ owners: new Map(), repositories: new Map(), teams: new Map() },
    ...{ apps: new Map(), installations: new Map(), redirects: new Map() },
  };
}
