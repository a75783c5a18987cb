/**
 * Writes the things of a Gitea of tests as its REST API shows them: services/convert in go-gitea/gitea.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { z } from "zod";
import type * as documented from "./documented.ts";
import { modeOf } from "./permissions.ts";
import type { GiteaWorld, WorldKey, WorldOrganization, WorldRepository, WorldTeam, WorldUser } from "./world.ts";

const AT = "2026-01-01T00:00:00Z";
/** What Go writes for a time that is not set. */
const NEVER = "0001-01-01T00:00:00Z";

/** @param asker what only site administrators and the account itself are told is false or empty to all others */
export function userBody(
  user: WorldUser,
  asker: WorldUser | undefined,
  origin: string,
): z.infer<typeof documented.User> {
  const isTold = asker !== undefined && (asker.isAdmin || asker.id === user.id);
  return {
    id: user.id,
    login: user.login,
    login_name: "",
    source_id: 0,
    full_name: user.fullName,
    email: asker === undefined ? `${user.login}@noreply.localhost` : user.email,
    avatar_url: `${origin}/avatars/${user.id}`,
    html_url: `${origin}/${user.login}`,
    language: "",
    is_admin: isTold && user.isAdmin,
    last_login: isTold ? AT : NEVER,
    created: AT,
    restricted: user.isRestricted,
    active: isTold && user.isActive,
    prohibit_login: isTold && user.mayNotLogIn,
    location: "",
    website: "",
    description: "",
    visibility: user.visibility,
    followers_count: 0,
    following_count: 0,
    starred_repos_count: 0,
  };
}

/** An organization where an account stands: as the owner of a repository. */
function organizationAsUser(
  { id, name, visibility }: WorldOrganization,
  origin: string,
): z.infer<typeof documented.User> {
  const flags = { isAdmin: false, isActive: true, mayNotLogIn: false, isRestricted: false };
  return userBody({ id, login: name, fullName: name, email: "", visibility, keys: [], ...flags }, undefined, origin);
}

export function ownerBody(
  world: GiteaWorld,
  { ownerId }: WorldRepository,
  asker: WorldUser | undefined,
  origin: string,
) {
  const user = world.users.get(ownerId);
  if (user !== undefined) return userBody(user, asker, origin);
  const organization = world.organizations.get(ownerId);
  if (organization === undefined) throw new Error(`Cannot tell of owner ${ownerId}: there is none`);
  return organizationAsUser(organization, origin);
}

export function repositoryBody(
  repository: WorldRepository,
  { world, asker, origin }: { world: GiteaWorld; asker: WorldUser | undefined; origin: string },
): z.infer<typeof documented.Repository> {
  const mode = asker === undefined ? "owner" : modeOf(world, repository, asker);
  const path = world.pathOf(repository);
  return {
    id: repository.id,
    owner: ownerBody(world, repository, asker, origin),
    name: repository.name,
    full_name: path,
    description: "",
    empty: false,
    private: repository.isPrivate,
    fork: false,
    html_url: `${origin}/${path}`,
    url: `${origin}/api/v1/repos/${path}`,
    ssh_url: `git@gitea.invalid:${path}.git`,
    clone_url: `${origin}/${path}.git`,
    default_branch: "main",
    archived: repository.isArchived,
    created_at: AT,
    updated_at: AT,
    permissions: {
      admin: mode === "admin" || mode === "owner",
      push: mode !== "none" && mode !== "read",
      pull: mode !== "none",
    },
    internal: false,
  };
}

export function organizationBody(
  { id, name, visibility }: WorldOrganization,
  origin: string,
): z.infer<typeof documented.Organization> {
  const texts = { full_name: "", email: "", description: "", website: "", location: "" };
  return {
    ...{ id, name, username: name, ...texts, visibility },
    ...{ avatar_url: `${origin}/avatars/${id}`, repo_admin_change_team_access: true },
  };
}

export function teamBody({ id, name, permission, units }: WorldTeam): z.infer<typeof documented.Team> {
  return {
    ...{ id, name, description: "", organization: null, includes_all_repositories: permission === "owner" },
    ...{ permission, units: Object.keys(units), units_map: { ...units }, can_create_org_repo: permission === "owner" },
  };
}

export function keyBody(
  key: WorldKey,
  user: WorldUser,
  asker: WorldUser,
  origin: string,
): z.infer<typeof documented.PublicKey> {
  const isTold = asker.isAdmin || asker.id === user.id;
  const told = { user: userBody(user, asker, origin), read_only: key.type === "deploy", key_type: key.type };
  return {
    id: key.id,
    key: key.line,
    url: `${origin}/api/v1/user/keys/${key.id}`,
    title: "laptop",
    fingerprint: `SHA256:${createHash("sha256").update(key.line).digest("base64")}`,
    created_at: AT,
    ...(isTold ? told : {}),
  };
}
