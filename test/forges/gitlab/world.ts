/**
 * What is true on a GitLab of tests: people, keys, groups with subgroups, projects, memberships by every route. Tests
 * drive it; `gitlab-server.ts` tells of it. Each change is told as the system hook that GitLab would send.
 *
 * @module
 */
import type { HOOKS } from "./documented.ts";

export type Visibility = "public" | "internal" | "private";
export type UserState = "active" | "blocked" | "ldap_blocked" | "blocked_pending_approval" | "deactivated" | "banned";

export interface WorldKey {
  readonly id: number;
  readonly line: string;
  expiresAt: string | null;
  usage: "auth" | "signing" | "auth_and_signing";
}

export interface WorldUser {
  readonly id: number;
  username: string;
  name: string;
  state: UserState;
  isAdmin: boolean;
  publicEmail: string | null;
  readonly keys: WorldKey[];
}

export interface Membership {
  level: number;
  expiresAt: string | null;
  membershipState?: "active" | "awaiting";
  readCode?: boolean;
}

/** A group that is invited, with the most that its members get by it. */
export interface Invitation {
  readonly groupId: number;
  readonly level: number;
}

export interface WorldGroup {
  readonly id: number;
  path: string;
  parentId: number | null;
  visibility: Visibility;
  readonly members: Map<number, Membership>;
  readonly invited: Invitation[];
}

export interface WorldProject {
  readonly id: number;
  path: string;
  /** A group's id, or a user's that has it in their own namespace. */
  home: { readonly group: number } | { readonly user: number };
  visibility: Visibility;
  archived: boolean;
  markedForDeletionOn: string | null;
  readonly members: Map<number, Membership>;
  readonly invited: Invitation[];
}

export interface WorldToken {
  readonly userId: number;
  readonly scopes: readonly string[];
  revoked: boolean;
  expiresAt: string | null;
}

/** What GitLab would send: the shape that its body has to have, and the body. */
export interface HookEvent {
  readonly shape: keyof typeof HOOKS;
  readonly body: Record<string, unknown>;
}

const AT = "2026-01-01T00:00:00Z";
const LEVELS: Readonly<Record<number, string>> = {
  10: "Guest",
  15: "Planner",
  20: "Reporter",
  30: "Developer",
  40: "Maintainer",
  50: "Owner",
};

export class GitlabWorld {
  readonly users = new Map<number, WorldUser>();
  readonly groups = new Map<number, WorldGroup>();
  readonly projects = new Map<number, WorldProject>();
  readonly tokens = new Map<string, WorldToken>();
  /** Paths that projects had before, and that lead on to them. */
  readonly movedPaths = new Map<string, number>();
  readonly #listeners = new Set<(event: HookEvent) => void>();
  #idNext = 100;

  onEvent(listener: (event: HookEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  addUser(
    username: string,
    more: Partial<Pick<WorldUser, "name" | "state" | "isAdmin" | "publicEmail">> = {},
  ): WorldUser {
    const defaults = { name: `${username} Example`, state: "active" as const, isAdmin: false, publicEmail: null };
    const user = { id: this.#idNext++, username, keys: [], ...defaults, ...more };
    this.users.set(user.id, user);
    this.#tell("user", { event_name: "user_create", ...userFacts(user) });
    return user;
  }

  renameUser(user: WorldUser, username: string): void {
    const old = user.username;
    user.username = username;
    this.#tell("user", { event_name: "user_rename", ...userFacts(user), old_username: old });
  }

  /** GitLab tells nothing of blocking; only of the blocked person's next try to sign in. */
  setState(user: WorldUser, state: UserState): void {
    user.state = state;
  }

  signInFailed(user: WorldUser): void {
    this.#tell("user", { event_name: "user_failed_login", ...userFacts(user), state: user.state });
  }

  removeUser(user: WorldUser): void {
    this.users.delete(user.id);
    for (const { members } of [...this.groups.values(), ...this.projects.values()]) members.delete(user.id);
    this.#tell("user", { event_name: "user_destroy", ...userFacts(user) });
  }

  addKey(user: WorldUser, line: string, more: Partial<Pick<WorldKey, "expiresAt" | "usage">> = {}): WorldKey {
    const key = { id: this.#idNext++, line, expiresAt: null, usage: "auth_and_signing" as const, ...more };
    user.keys.push(key);
    this.#tell("key", { event_name: "key_create", username: user.username, key: line, id: key.id });
    return key;
  }

  removeKey(user: WorldUser, key: WorldKey): void {
    user.keys.splice(user.keys.indexOf(key), 1);
    this.#tell("key", { event_name: "key_destroy", username: user.username, key: key.line, id: key.id });
  }

  addGroup(path: string, more: { parent?: WorldGroup; visibility?: Visibility } = {}): WorldGroup {
    const { parent, visibility = "private" } = more;
    const group = {
      id: this.#idNext++,
      path,
      parentId: parent?.id ?? null,
      visibility,
      members: new Map(),
      invited: [],
    };
    this.groups.set(group.id, group);
    this.#tell("group", { event_name: "group_create", name: path, path, group_id: group.id });
    return group;
  }

  renameGroup(group: WorldGroup, path: string): void {
    const [oldPath, oldFullPath] = [group.path, this.fullPathOf(group)];
    group.path = path;
    const now = { name: path, path, full_path: this.fullPathOf(group), group_id: group.id };
    this.#tell("group", { event_name: "group_rename", ...now, old_path: oldPath, old_full_path: oldFullPath });
  }

  addProject(
    path: string,
    home: WorldGroup | WorldUser,
    more: Partial<Pick<WorldProject, "visibility" | "archived" | "markedForDeletionOn">> = {},
  ): WorldProject {
    const defaults = { visibility: "private" as const, archived: false, markedForDeletionOn: null };
    const where = "username" in home ? { user: home.id } : { group: home.id };
    const members = new Map<number, Membership>();
    if ("user" in where) members.set(where.user, { level: 50, expiresAt: null });
    const project = { id: this.#idNext++, path, home: where, members, invited: [], ...defaults, ...more };
    this.projects.set(project.id, project);
    this.#tell("project", { event_name: "project_create", ...this.#projectFacts(project) });
    return project;
  }

  archive(project: WorldProject, archived = true): void {
    project.archived = archived;
    this.#tell("project", { event_name: "project_update", ...this.#projectFacts(project) });
  }

  renameProject(project: WorldProject, path: string): void {
    const old = this.pathOf(project);
    this.movedPaths.set(old.toLowerCase(), project.id);
    project.path = path;
    const facts = this.#projectFacts(project);
    this.#tell("project", { event_name: "project_rename", ...facts, old_path_with_namespace: old });
  }

  transfer(project: WorldProject, group: WorldGroup): void {
    const old = this.pathOf(project);
    this.movedPaths.set(old.toLowerCase(), project.id);
    project.home = { group: group.id };
    const facts = this.#projectFacts(project);
    this.#tell("project", { event_name: "project_transfer", ...facts, old_path_with_namespace: old });
  }

  removeProject(project: WorldProject): void {
    this.projects.delete(project.id);
    this.#tell("project", { event_name: "project_destroy", ...this.#projectFacts(project) });
  }

  setMember(place: WorldProject | WorldGroup, user: WorldUser, membership: Membership | number): void {
    const wanted = typeof membership === "number" ? { level: membership, expiresAt: null } : membership;
    const change = place.members.has(user.id) ? "update" : "add";
    place.members.set(user.id, wanted);
    this.#tellMember(place, user, { change, level: wanted.level });
  }

  removeMember(place: WorldProject | WorldGroup, user: WorldUser): void {
    const { level = 0 } = place.members.get(user.id) ?? {};
    place.members.delete(user.id);
    this.#tellMember(place, user, { change: "remove", level });
  }

  /** Without a word to anybody: gitlab-org/gitlab issue 538418. */
  invite(group: WorldGroup, place: WorldProject | WorldGroup, level: number): void {
    place.invited.push({ groupId: group.id, level });
  }

  uninvite(group: WorldGroup, place: WorldProject | WorldGroup): void {
    const index = place.invited.findIndex(({ groupId }) => groupId === group.id);
    place.invited.splice(index, 1);
  }

  addToken(text: string, user: WorldUser, scopes: readonly string[] = ["read_api", "read_repository"]): WorldToken {
    const token = { userId: user.id, scopes, revoked: false, expiresAt: null };
    this.tokens.set(text, token);
    return token;
  }

  /** The daily job that takes away what has ended: app/workers/remove_expired_members_worker.rb. */
  removeEnded(now: number): void {
    for (const { members } of [...this.groups.values(), ...this.projects.values()]) {
      for (const [id, { expiresAt }] of members) {
        if (expiresAt !== null && Date.parse(expiresAt) <= now) members.delete(id);
      }
    }
  }

  /** The same world, by itself: what is changed in one does not change the other. */
  copy(): GitlabWorld {
    const copy = new GitlabWorld();
    const fill = <Key, Value>(to: Map<Key, Value>, from: ReadonlyMap<Key, Value>): void => {
      for (const [key, value] of structuredClone(from)) to.set(key, value);
    };
    fill(copy.users, this.users);
    fill(copy.groups, this.groups);
    fill(copy.projects, this.projects);
    fill(copy.tokens, this.tokens);
    fill(copy.movedPaths, this.movedPaths);
    return copy;
  }

  fullPathOf(group: WorldGroup): string {
    const parent = group.parentId === null ? undefined : this.groups.get(group.parentId);
    return parent === undefined ? group.path : `${this.fullPathOf(parent)}/${group.path}`;
  }

  homePathOf({ home }: WorldProject): string {
    if ("user" in home) return this.users.get(home.user)?.username ?? "ghost";
    const group = this.groups.get(home.group);
    return group === undefined ? "gone" : this.fullPathOf(group);
  }

  pathOf(project: WorldProject): string {
    return `${this.homePathOf(project)}/${project.path}`;
  }

  #tellMember(
    place: WorldProject | WorldGroup,
    user: WorldUser,
    { change, level }: { change: "add" | "update" | "remove"; level: number },
  ): void {
    const who = {
      user_id: user.id,
      user_username: user.username,
      user_name: user.name,
      user_email: `${user.username}@example.com`,
    };
    const word = LEVELS[level] ?? "No access";
    if ("home" in place) {
      const name =
        change === "add" ? "user_add_to_team" : change === "remove" ? "user_remove_from_team" : "user_update_for_team";
      const path = this.pathOf(place);
      this.#tell("user_team", {
        event_name: name,
        ...who,
        access_level: word,
        project_id: place.id,
        project_name: place.path,
        project_path: place.path,
        project_path_with_namespace: path,
        project_visibility: place.visibility,
      });
      return;
    }
    const name =
      change === "add" ? "user_add_to_group" : change === "remove" ? "user_remove_from_group" : "user_update_for_group";
    const group = { group_id: place.id, group_name: place.path, group_path: place.path };
    this.#tell("user_group", { event_name: name, ...who, group_access: word, ...group });
  }

  #projectFacts(project: WorldProject): Record<string, unknown> {
    return {
      name: project.path,
      path: project.path,
      path_with_namespace: this.pathOf(project),
      project_id: project.id,
      project_namespace_id: "user" in project.home ? project.home.user : project.home.group,
      owners: [{ name: "Owner", email: "owner@example.com" }],
      project_visibility: project.visibility,
    };
  }

  #tell(shape: HookEvent["shape"], facts: Record<string, unknown>): void {
    const body = { created_at: AT, updated_at: AT, ...facts };
    for (const listener of this.#listeners) listener({ shape, body });
  }
}

function userFacts({ id, username, name }: WorldUser): Record<string, unknown> {
  return { name, email: `${username}@example.com`, username, user_id: id };
}
