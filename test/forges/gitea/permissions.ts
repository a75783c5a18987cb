/**
 * What somebody may do on a Gitea of tests, as Gitea works it out: models/perm/access/repo_permission.go,
 * `GetUserRepoPermission`, whose access mode is what the API tells.
 *
 * @module
 */
import type { GiteaWorld, Mode, WorldOrganization, WorldRepository, WorldTeam, WorldUser } from "./world.ts";

const ORDER: readonly Mode[] = ["none", "read", "write", "admin", "owner"];

/** The teams that have a repository: the owners have all. */
export function teamsOf(world: GiteaWorld, { id, ownerId }: WorldRepository): WorldTeam[] {
  const teams = world.organizations.get(ownerId)?.teams ?? [];
  return teams.filter(({ permission, repositories }) => permission === "owner" || repositories.has(id));
}

export function modeOf(world: GiteaWorld, repository: WorldRepository, user: WorldUser): Mode {
  if (user.isAdmin || user.id === repository.ownerId) return "owner";
  const organization = world.organizations.get(repository.ownerId);
  const direct = repository.collaborators.get(user.id) ?? "none";
  if (organization !== undefined && !isShown(organization, user) && direct === "none") return "none";
  const mine = teamsOf(world, repository).filter(({ members }) => members.has(user.id));
  if (mine.some(({ permission }) => permission === "admin" || permission === "owner")) return "owner";
  const open: Mode = !repository.isPrivate && !user.isRestricted ? "read" : "none";
  return [direct, open, ...mine.map(teamMode)].reduce(highest, "none");
}

/** Says whether somebody may see the code. */
export function maySeeCode(world: GiteaWorld, repository: WorldRepository, user: WorldUser): boolean {
  const mode = modeOf(world, repository, user);
  if (mode === "none") return false;
  const isMore =
    !repository.isPrivate || user.isAdmin || user.id === repository.ownerId || repository.collaborators.has(user.id);
  if (isMore || ORDER.indexOf(mode) >= ORDER.indexOf("admin")) return true;
  return teamsOf(world, repository).some(
    ({ members, units }) => members.has(user.id) && (units["repo.code"] ?? "none") !== "none",
  );
}

export function isMember({ teams }: WorldOrganization, user: WorldUser): boolean {
  return teams.some(({ members }) => members.has(user.id));
}

export function isOwner({ teams }: WorldOrganization, user: WorldUser): boolean {
  return teams.some(({ members, permission }) => permission === "owner" && members.has(user.id));
}

export function isShown(organization: WorldOrganization, user: WorldUser): boolean {
  if (organization.visibility === "private") return user.isAdmin || isMember(organization, user);
  return !user.isRestricted || isMember(organization, user);
}

/** unit.MinUnitAccessMode: the least that is more than nothing. */
function teamMode({ permission, units }: WorldTeam): Mode {
  if (permission !== "none") return permission;
  const modes: readonly Mode[] = Object.values(units).filter((mode) => mode !== "none");
  return ORDER.find((mode) => modes.includes(mode)) ?? "none";
}

function highest(one: Mode, other: Mode): Mode {
  return ORDER.indexOf(one) >= ORDER.indexOf(other) ? one : other;
}
