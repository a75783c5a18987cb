/**
 * Computes what somebody may do with a repository, as GitHub does: the most of what they were given directly, by teams
 * and their parents, by the organisation, or by owning it.
 *
 * Source: docs.github.com, "Repository roles for an organization", and the description of
 * `GET /repos/{owner}/{repo}/collaborators`.
 *
 * @module
 */
import { PERMISSIONS, type BasePermission, type Permission, type Repository, type Team } from "./entities.ts";
import type { World } from "./world.ts";

const OF_BASE: Readonly<Record<BasePermission, Permission | undefined>> = {
  none: undefined,
  read: "pull",
  write: "push",
  admin: "admin",
};

/** `undefined`: nothing but what everybody has in a public repository. */
export function permissionOf(world: World, userId: number, repository: Repository): Permission | undefined {
  const user = world.owners.get(userId);
  if (user?.type !== "User" || (user.isSuspended && !world.countsSuspended)) return undefined;
  if (repository.ownerId === userId) return "admin";
  const given = [repository.collaborators.get(userId)];
  const owner = world.owners.get(repository.ownerId);
  const membership = owner?.type === "Organization" ? owner.members.get(userId) : undefined;
  if (owner?.type === "Organization" && membership !== undefined) {
    if (membership === "admin") return "admin";
    given.push(OF_BASE[owner.basePermission]);
    for (const team of world.teamsOf(owner.id)) {
      if (team.memberIds.has(userId)) given.push(teamPermission(world, team, repository.id));
    }
  }
  return mostOf(given);
}

/** Everybody who has a permission, and which, by number. */
export function collaboratorsOf(world: World, repository: Repository): Map<number, Permission> {
  const found = new Map<number, Permission>();
  for (const id of candidatesOf(world, repository)) {
    const permission = permissionOf(world, id, repository);
    if (permission !== undefined) found.set(id, permission);
  }
  return new Map([...found].sort(([a], [b]) => a - b));
}

/** What a team has in a repository, of its own or by its parents. */
export function teamPermission(world: World, team: Team, repositoryId: number): Permission | undefined {
  const parent = team.parentId === undefined ? undefined : world.teams.get(team.parentId);
  return mostOf([
    team.repositories.get(repositoryId),
    parent === undefined ? undefined : teamPermission(world, parent, repositoryId),
  ]);
}

/** Says whether one permission is as much as another. */
export function isAtLeast(permission: Permission | undefined, least: Permission): boolean {
  return permission !== undefined && PERMISSIONS.indexOf(permission) >= PERMISSIONS.indexOf(least);
}

/** `role_name` of the API. */
export function roleName(permission: Permission | undefined): string {
  if (permission === "pull") return "read";
  if (permission === "push") return "write";
  return permission ?? "none";
}

/** `permission` of the API, which knows four: maintain is mapped to write, triage to read. */
export function legacyPermission(permission: Permission | undefined): "admin" | "write" | "read" | "none" {
  if (permission === undefined) return "none";
  if (permission === "admin") return "admin";
  return isAtLeast(permission, "push") ? "write" : "read";
}

/** The five flags of the API. */
export function permissionFlags(permission: Permission | undefined): Readonly<Record<Permission, boolean>> {
  const has = (least: Permission): boolean => isAtLeast(permission, least);
  return {
    ...{ pull: has("pull"), triage: has("triage"), push: has("push") },
    ...{ maintain: has("maintain"), admin: has("admin") },
  };
}

function candidatesOf(world: World, repository: Repository): Set<number> {
  const ids = new Set([...repository.collaborators.keys(), repository.ownerId]);
  const owner = world.owners.get(repository.ownerId);
  if (owner?.type !== "Organization") return ids;
  const isForAll = owner.basePermission !== "none";
  for (const [id, role] of owner.members) if (isForAll || role === "admin") ids.add(id);
  if (isForAll) return ids;
  for (const team of world.teamsOf(owner.id)) {
    if (teamPermission(world, team, repository.id) !== undefined) for (const id of team.memberIds) ids.add(id);
  }
  return ids;
}

function mostOf(given: readonly (Permission | undefined)[]): Permission | undefined {
  return given.reduce<Permission | undefined>(
    (most, one) => (one !== undefined && (most === undefined || isAtLeast(one, most)) ? one : most),
    undefined,
  );
}
