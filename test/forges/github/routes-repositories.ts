/**
 * The API below `/repos/{owner}/{repo}`, and lists of repositories.
 *
 * @module
 */
import {
  notAccessible,
  notFound,
  organizationOf,
  Refusal,
  replyList,
  repositoryOf,
  userOf,
  type Call,
  type Handlers,
  type Reply,
} from "./call.ts";
import { PERMISSIONS, type Permission, type Repository } from "./entities.ts";
import { writeFullRepository, writeListedRepository, writeRepository } from "./repository-shapes.ts";
import { hasPermission, hasScope, isCovered, maySee, ownPermission } from "./rights.ts";
import {
  collaboratorsOf,
  isAtLeast,
  legacyPermission,
  permissionFlags,
  permissionOf,
  roleName,
  teamPermission,
} from "./roles.ts";
import { writeCollaborator, writeTeam } from "./shapes.ts";

export const repositoryHandlers: Handlers = {
  "get /repos/{owner}/{repo}": (call) => {
    const repository = repositoryOf(call);
    const options = { addresses: call.addresses, permission: shownPermission(call, repository) };
    return { status: 200, value: writeFullRepository(repository, call.world, options) };
  },
  "get /repos/{owner}/{repo}/collaborators": listCollaborators,
  "get /repos/{owner}/{repo}/collaborators/{username}": (call) => {
    const repository = repositoryOf(call);
    checkMayReadCollaborators(call, repository, "Must have push access to view repository collaborators.");
    const user = userOf(call);
    if (permissionOf(call.world, user.id, repository) === undefined) throw notFound();
    return { status: 204 };
  },
  "get /repos/{owner}/{repo}/collaborators/{username}/permission": readPermission,
  // No branch is told of: it only matters who may ask.
  "get /repos/{owner}/{repo}/branches": (call) => {
    const repository = repositoryOf(call);
    const isByPermission = call.viewer.type === "installation" || call.viewer.type === "fine-grained";
    if (repository.isPrivate && isByPermission && !hasPermission(call.viewer, "contents", "read")) {
      throw notAccessible("contents=read");
    }
    return replyList<never>(call, {
      all: [],
      write: (never) => never,
      path: `/repositories/${repository.id}/branches`,
    });
  },
  "get /repos/{owner}/{repo}/teams": (call) => {
    const repository = repositoryOf(call);
    const { world, viewer, addresses } = call;
    const isAdmin = isAtLeast(ownPermission(world, viewer, repository), "admin");
    if (viewer.type === "installation" && !hasPermission(viewer, "administration", "read")) {
      throw notAccessible("administration=read");
    }
    if (viewer.type !== "installation" && !isAdmin) throw notFound();
    const teams = world.teamsOf(repository.ownerId).flatMap((team) => {
      const permission = teamPermission(world, team, repository.id);
      return permission === undefined ? [] : [{ team, permission }];
    });
    return replyList(call, {
      all: teams,
      write: ({ team, permission }) => ({
        ...writeTeam(team, world, addresses),
        ...{ permission, permissions: permissionFlags(permission) },
      }),
      path: `/repositories/${repository.id}/teams`,
    });
  },
  "get /orgs/{org}/repos": (call) => {
    const organization = organizationOf(call);
    const repositories = call.world.repositoriesOf(organization.id).filter(visibleTo(call));
    return listRepositories(call, repositories.filter(ofType(call)), `/organizations/${organization.id}/repos`);
  },
  // Public ones only, even of oneself: docs.github.com, "List repositories for a user".
  "get /users/{username}/repos": (call) => {
    const owner = call.world.findOwner(call.params["username"] ?? "") ?? userOf(call);
    const repositories = call.world.repositoriesOf(owner.id).filter(({ isPrivate }) => !isPrivate);
    return listRepositories(call, repositories, `/user/${owner.id}/repos`);
  },
  "get /user/repos": (call) => {
    const { world, viewer } = call;
    if (viewer.type === "installation") throw notAccessible("metadata=read");
    if (viewer.type !== "user" && viewer.type !== "fine-grained") throw new Refusal(401, "Requires authentication");
    const mine = [...world.repositories.values()].filter(
      (repository) => ownPermission(world, viewer, repository) !== undefined && visibleTo(call)(repository),
    );
    return listRepositories(call, mine.filter(ofType(call)).filter(ofAffiliation(call)), "/user/repos");
  },
  "get /installation/repositories": (call) => {
    const { world, viewer } = call;
    if (viewer.type !== "installation") {
      throw new Refusal(
        403,
        "You must authenticate with an installation access token in order to list repositories for an installation.",
      );
    }
    const isSelected = world.entities.installations.get(viewer.installationId)?.repositoryIds !== undefined;
    return replyList(call, {
      all: [...world.repositories.values()].filter((repository) => isCovered(world, viewer, repository)),
      write: (repository) => writeRepository(repository, world, { addresses: call.addresses, permission: "pull" }),
      path: "/installation/repositories",
      wrap: (repositories, total) => ({
        ...{ total_count: total, repository_selection: isSelected ? "selected" : "all", repositories },
      }),
    });
  },
};

function listCollaborators(call: Call): Reply {
  const { world, query, addresses } = call;
  const repository = repositoryOf(call);
  checkMayReadCollaborators(call, repository, "Must have push access to view repository collaborators.");
  const owner = world.owner(repository.ownerId);
  const affiliation = query.get("affiliation") ?? "all";
  const least = PERMISSIONS.find((permission) => permission === query.get("permission")) ?? "pull";
  const isMember = (id: number): boolean => owner.type === "Organization" && owner.members.has(id);
  const all = [...collaboratorsOf(world, repository)].filter(([id, permission]) => {
    if (affiliation === "outside" && (owner.type === "User" || isMember(id))) return false;
    if (affiliation === "direct" && !repository.collaborators.has(id)) return false;
    return isAtLeast(permission, least);
  });
  return replyList(call, {
    all,
    write: ([id, permission]) => writeCollaborator(world.owner(id), permission, addresses),
    path: `/repositories/${repository.id}/collaborators`,
  });
}

function readPermission(call: Call): Reply {
  const { world, params, addresses } = call;
  const repository = repositoryOf(call);
  checkMayReadCollaborators(call, repository, "Must have push access to view collaborator permission.");
  const user = world.findOwner(params["username"] ?? "");
  if (user?.type !== "User" || (user.isSuspended && !world.countsSuspended))
    throw new Refusal(404, `${params["username"] ?? ""} is not a user`);
  // Everybody reads what is public, and this is not told apart from a collaborator who may only read.
  const permission = permissionOf(world, user.id, repository) ?? (repository.isPrivate ? undefined : "pull");
  return {
    status: 200,
    value: {
      ...{ permission: legacyPermission(permission), role_name: roleName(permission) },
      user: writeCollaborator(user, permission, addresses),
    },
  };
}

function checkMayReadCollaborators(call: Call, repository: Repository, told: string): void {
  const { world, viewer } = call;
  switch (viewer.type) {
    case "anonymous":
    case "app":
      throw new Refusal(401, "Requires authentication");
    case "installation":
      if (!isCovered(world, viewer, repository)) throw notAccessible("metadata=read");
      return;
    case "user": {
      // "OAuth app tokens and personal access tokens (classic) need the read:org and repo scopes": the description.
      const isOfOrganization = world.owner(repository.ownerId).type === "Organization";
      if (isOfOrganization && !hasScope(viewer, "read:org")) throw new Refusal(403, told);
      break;
    }
    case "fine-grained":
  }
  if (!isAtLeast(ownPermission(world, viewer, repository), "push")) throw new Refusal(403, told);
}

function listRepositories(call: Call, all: readonly Repository[], path: string): Reply {
  const write = (repository: Repository) => {
    const options = { addresses: call.addresses, permission: shownPermission(call, repository) };
    return path === "/user/repos"
      ? writeRepository(repository, call.world, options)
      : writeListedRepository(repository, call.world, options);
  };
  return replyList(call, { all, write, path });
}

/** What is shown of the viewer's own permission: an installation's is always to read, whatever it may do. */
function shownPermission({ world, viewer }: Call, repository: Repository): Permission | undefined {
  if (viewer.type === "installation") return isCovered(world, viewer, repository) ? "pull" : undefined;
  return ownPermission(world, viewer, repository) ?? (viewer.type === "anonymous" ? undefined : "pull");
}

function visibleTo({ world, viewer }: Call): (repository: Repository) => boolean {
  return (repository) => maySee(world, viewer, repository);
}

function ofType({ query }: Call): (repository: Repository) => boolean {
  const type = query.get("visibility") ?? query.get("type") ?? "all";
  return ({ isPrivate }) => (type === "public" ? !isPrivate : type === "private" ? isPrivate : type !== "forks");
}

function ofAffiliation({ query, world, viewer }: Call): (repository: Repository) => boolean {
  const wanted = (query.get("affiliation") ?? "owner,collaborator,organization_member").split(",");
  const me = viewer.type === "user" || viewer.type === "fine-grained" ? viewer.userId : -1;
  return ({ ownerId, collaborators }) => {
    if (ownerId === me) return wanted.includes("owner");
    if (wanted.includes("collaborator") && collaborators.has(me)) return true;
    const owner = world.owner(ownerId);
    return wanted.includes("organization_member") && owner.type === "Organization" && owner.members.has(me);
  };
}
