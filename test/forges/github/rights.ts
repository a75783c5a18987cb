/**
 * What a viewer may see and ask: what they are and what their token was given, whichever is less.
 *
 * @module
 */
import type { Organization, Permission, Repository } from "./entities.ts";
import { isAtLeast, permissionOf } from "./roles.ts";
import type { Viewer } from "./tokens.ts";
import type { World } from "./world.ts";

/** Scopes of classic tokens that include others: docs.github.com, "Scopes for OAuth apps". */
const INCLUDES: Readonly<Record<string, readonly string[]>> = {
  repo: ["repo:status", "repo_deployment", "public_repo", "repo:invite", "security_events"],
  "admin:org": ["write:org", "read:org"],
  "write:org": ["read:org"],
  user: ["read:user", "user:email", "user:follow"],
};

/** Says whether a repository exists as far as the viewer may know. */
export function maySee(world: World, viewer: Viewer, repository: Repository): boolean {
  if (!repository.isPrivate) return true;
  switch (viewer.type) {
    case "anonymous":
    case "app":
      return false;
    case "installation":
      return isCovered(world, viewer, repository) && hasPermission(viewer, "metadata", "read");
    case "fine-grained":
      return isCovered(world, viewer, repository) && permissionOf(world, viewer.userId, repository) !== undefined;
    case "user":
      return hasScope(viewer, "repo") && permissionOf(world, viewer.userId, repository) !== undefined;
  }
}

/** Says whether a repository is among those that the token was made for; classic tokens are for all. */
export function isCovered(world: World, viewer: Viewer, repository: Repository): boolean {
  if (viewer.type === "fine-grained") {
    return repository.ownerId === viewer.ownerId && (viewer.repositoryIds?.has(repository.id) ?? true);
  }
  if (viewer.type !== "installation") return viewer.type === "user";
  const installation = world.entities.installations.get(viewer.installationId);
  if (installation?.accountId !== repository.ownerId) return false;
  if (installation.repositoryIds?.has(repository.id) === false) return false;
  return viewer.repositoryIds?.has(repository.id) ?? true;
}

/** What the viewer's own permission is; an installation has none. */
export function ownPermission(world: World, viewer: Viewer, repository: Repository): Permission | undefined {
  if (viewer.type === "user") {
    const isIncluded = hasScope(viewer, repository.isPrivate ? "repo" : "public_repo");
    const permission = permissionOf(world, viewer.userId, repository);
    return isIncluded || !isAtLeast(permission, "push") ? permission : "pull";
  }
  if (viewer.type !== "fine-grained" || !isCovered(world, viewer, repository)) return undefined;
  return permissionOf(world, viewer.userId, repository);
}

/** Says whether a token with permissions has this one. */
export function hasPermission(viewer: Viewer, name: string, level: "read" | "write"): boolean {
  if (viewer.type !== "installation" && viewer.type !== "fine-grained") return false;
  const given = viewer.permissions[name];
  // Every token has metadata: it cannot be left out when an App is registered.
  if (name === "metadata" && level === "read") return true;
  return given !== undefined && (level === "read" || given !== "read");
}

/** Says whether a classic token has a scope. */
export function hasScope(viewer: Viewer, scope: string): boolean {
  if (viewer.type !== "user") return false;
  return viewer.scopes.some((given) => given === scope || (INCLUDES[given]?.includes(scope) ?? false));
}

/** How the viewer stands to an organisation. */
export function standingIn(viewer: Viewer, organization: Organization): "member" | "admin" | undefined {
  if (viewer.type !== "user" && viewer.type !== "fine-grained") return undefined;
  return organization.members.get(viewer.userId);
}

/** Says whether the viewer may see who is in an organisation, concealed members and teams included. */
export function mayReadMembers(world: World, viewer: Viewer, organization: Organization): boolean {
  switch (viewer.type) {
    case "installation": {
      const installation = world.entities.installations.get(viewer.installationId);
      return installation?.accountId === organization.id && hasPermission(viewer, "members", "read");
    }
    case "fine-grained":
      return viewer.ownerId === organization.id && hasPermission(viewer, "members", "read");
    case "user":
      return organization.members.has(viewer.userId) && hasScope(viewer, "read:org");
    default:
      return false;
  }
}
