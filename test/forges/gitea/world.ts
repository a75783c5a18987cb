/**
 * What is true on a Gitea of tests: accounts and organizations (one series of numbers and names for both), keys,
 * repositories, collaborators, teams. Tests drive it; `gitea-server.ts` tells of it. The two changes that Gitea sends
 * webhooks for are told to whoever listens.
 *
 * @module
 */

export type Mode = "none" | "read" | "write" | "admin" | "owner";
export type Visibility = "public" | "limited" | "private";

export interface WorldKey {
  readonly id: number;
  readonly line: string;
  readonly type: "user" | "deploy";
}

export interface WorldUser {
  readonly id: number;
  login: string;
  fullName: string;
  email: string;
  isAdmin: boolean;
  isActive: boolean;
  mayNotLogIn: boolean;
  isRestricted: boolean;
  visibility: Visibility;
  readonly keys: WorldKey[];
}

export interface WorldTeam {
  readonly id: number;
  name: string;
  /** `none` together with units: each has its own. */
  permission: Mode;
  units: Readonly<Record<string, Mode>>;
  readonly members: Set<number>;
  readonly repositories: Set<number>;
}

export interface WorldOrganization {
  readonly id: number;
  name: string;
  visibility: Visibility;
  readonly teams: WorldTeam[];
}

export interface WorldRepository {
  readonly id: number;
  ownerId: number;
  name: string;
  isPrivate: boolean;
  isArchived: boolean;
  readonly collaborators: Map<number, Mode>;
}

export interface WorldToken {
  readonly userId: number;
  readonly scopes: readonly string[];
}

export interface HookEvent {
  readonly action: "created" | "deleted";
  readonly repository: WorldRepository;
}

const UNITS = ["repo.code", "repo.issues", "repo.pulls", "repo.releases", "repo.wiki", "repo.projects"];

export class GiteaWorld {
  readonly users = new Map<number, WorldUser>();
  readonly organizations = new Map<number, WorldOrganization>();
  readonly repositories = new Map<number, WorldRepository>();
  readonly tokens = new Map<string, WorldToken>();
  /** Paths that repositories had before, and that lead on to them. */
  readonly movedPaths = new Map<string, number>();
  readonly #listeners = new Set<(event: HookEvent) => void>();
  #idNext = 1;

  onEvent(listener: (event: HookEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  addUser(login: string, more: Partial<Omit<WorldUser, "id" | "login" | "keys">> = {}): WorldUser {
    const flags = { isAdmin: false, isActive: true, mayNotLogIn: false, isRestricted: false };
    const defaults = { fullName: `${login} Example`, email: `${login}@example.com`, visibility: "public" as const };
    const user = { id: this.#idNext++, login, keys: [], ...defaults, ...flags, ...more };
    this.users.set(user.id, user);
    return user;
  }

  removeUser(user: WorldUser): void {
    this.users.delete(user.id);
    for (const { collaborators } of this.repositories.values()) collaborators.delete(user.id);
    for (const { teams } of this.organizations.values()) for (const { members } of teams) members.delete(user.id);
  }

  addKey(user: WorldUser, line: string, type: WorldKey["type"] = "user"): WorldKey {
    const key = { id: this.#idNext++, line, type };
    user.keys.push(key);
    return key;
  }

  removeKey(user: WorldUser, key: WorldKey): void {
    user.keys.splice(user.keys.indexOf(key), 1);
  }

  /** With a team of owners, as every organization has. */
  addOrganization(name: string, owner: WorldUser, visibility: Visibility = "public"): WorldOrganization {
    const organization = { id: this.#idNext++, name, visibility, teams: [] };
    this.organizations.set(organization.id, organization);
    this.addTeam(organization, "Owners", "owner").members.add(owner.id);
    return organization;
  }

  /** @param units where they differ; then the team's own permission is `none` */
  addTeam(
    organization: WorldOrganization,
    name: string,
    permission: Mode,
    units?: Readonly<Record<string, Mode>>,
  ): WorldTeam {
    const all = Object.fromEntries(UNITS.map((unit) => [unit, permission]));
    const team = {
      id: this.#idNext++,
      name,
      permission,
      units: units ?? all,
      members: new Set<number>(),
      repositories: new Set<number>(),
    };
    organization.teams.push(team);
    return team;
  }

  addRepository(
    name: string,
    owner: WorldUser | WorldOrganization,
    more: Partial<Pick<WorldRepository, "isPrivate" | "isArchived">> = {},
  ): WorldRepository {
    const flags = { isPrivate: true, isArchived: false };
    const repository = {
      id: this.#idNext++,
      ownerId: owner.id,
      name,
      collaborators: new Map<number, Mode>(),
      ...flags,
      ...more,
    };
    this.repositories.set(repository.id, repository);
    for (const listener of this.#listeners) listener({ action: "created", repository });
    return repository;
  }

  removeRepository(repository: WorldRepository): void {
    this.repositories.delete(repository.id);
    for (const listener of this.#listeners) listener({ action: "deleted", repository });
  }

  renameRepository(repository: WorldRepository, name: string): void {
    this.movedPaths.set(this.pathOf(repository).toLowerCase(), repository.id);
    repository.name = name;
  }

  /** Teams of the organization that it leaves have it no more. */
  transfer(repository: WorldRepository, owner: WorldUser | WorldOrganization): void {
    this.movedPaths.set(this.pathOf(repository).toLowerCase(), repository.id);
    repository.ownerId = owner.id;
    for (const { teams } of this.organizations.values())
      for (const team of teams) team.repositories.delete(repository.id);
  }

  addToken(text: string, user: WorldUser, scopes = ["read:user", "read:organization", "read:repository"]): WorldToken {
    const token = { userId: user.id, scopes };
    this.tokens.set(text, token);
    return token;
  }

  ownerNameOf({ ownerId }: WorldRepository): string {
    return this.users.get(ownerId)?.login ?? this.organizations.get(ownerId)?.name ?? "ghost";
  }

  pathOf(repository: WorldRepository): string {
    return `${this.ownerNameOf(repository)}/${repository.name}`;
  }

  /** The same world, by itself: what is changed in one does not change the other. */
  copy(): GiteaWorld {
    const copy = new GiteaWorld();
    const fill = <Key, Value>(to: Map<Key, Value>, from: ReadonlyMap<Key, Value>): void => {
      for (const [key, value] of structuredClone(from)) to.set(key, value);
    };
    fill(copy.users, this.users);
    fill(copy.organizations, this.organizations);
    fill(copy.repositories, this.repositories);
    fill(copy.tokens, this.tokens);
    fill(copy.movedPaths, this.movedPaths);
    return copy;
  }
}
