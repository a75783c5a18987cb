/**
 * The API of users, organisations, their members and teams.
 *
 * @module
 */
import {
  notAccessible,
  notFound,
  organizationOf,
  Refusal,
  replyList,
  userOf,
  type Call,
  type Handlers,
  type Reply,
} from "./call.ts";
import type { Organization, Owner, Team } from "./entities.ts";
import { writeListedRepository } from "./repository-shapes.ts";
import { hasPermission, hasScope, maySee, mayReadMembers, standingIn } from "./rights.ts";
import {
  isoTime,
  writeFullOrganization,
  writeKey,
  writeOwner,
  writePrivateUser,
  writePublicUser,
  writeTeam,
  type Shape,
} from "./shapes.ts";

export const accountHandlers: Handlers = {
  "get /user": (call) => {
    const { viewer, world, addresses } = call;
    if (viewer.type === "installation") throw notAccessible("");
    if (viewer.type !== "user" && viewer.type !== "fine-grained") throw new Refusal(401, "Requires authentication");
    const user = world.owner(viewer.userId);
    if (user.type !== "User") throw notFound();
    return { status: 200, value: writePrivateUser(user, world, addresses) };
  },
  "get /users/{username}": (call) => {
    const owner = call.world.findOwner(call.params["username"] ?? "");
    return replyAccount(call, owner);
  },
  "get /user/{account_id}": (call) => replyAccount(call, call.world.owners.get(Number(call.params["account_id"]))),
  "get /users/{username}/keys": (call) => {
    const user = userOf(call);
    return replyList(call, { all: user.keys, write: writeKey, path: `/user/${user.id}/keys` });
  },
  "get /orgs/{org}": (call) => {
    const organization = organizationOf(call);
    const { world, addresses } = call;
    const value = writeFullOrganization(organization, world, {
      addresses,
      isForAdmins: maySeeSettings(call, organization),
    });
    return { status: 200, value };
  },
  "get /orgs/{org}/members": listMembers,
  "get /orgs/{org}/members/{username}": (call) => {
    const organization = organizationOf(call);
    const user = userOf(call);
    if (!mayReadMembers(call.world, call.viewer, organization)) {
      const location = `${call.addresses.api}/orgs/${organization.login}/public_members/${user.login}`;
      return { status: 302, headers: { location } };
    }
    if (!organization.members.has(user.id)) throw notFound();
    return { status: 204 };
  },
  "get /orgs/{org}/outside_collaborators": (call) => {
    const organization = organizationOf(call);
    checkMayReadMembers(call, organization);
    const { world } = call;
    const ids = new Set(
      world.repositoriesOf(organization.id).flatMap(({ collaborators }) => [...collaborators.keys()]),
    );
    const outside = [...ids].filter((id) => !organization.members.has(id)).sort((a, b) => a - b);
    return listPeople(call, outside, `/organizations/${organization.id}/outside_collaborators`);
  },
  "get /orgs/{org}/teams": (call) => {
    const organization = organizationOf(call);
    checkMayReadMembers(call, organization);
    return replyList(call, {
      all: call.world.teamsOf(organization.id),
      write: (team) => writeTeam(team, call.world, call.addresses),
      path: `/organizations/${organization.id}/teams`,
    });
  },
  "get /orgs/{org}/teams/{team_slug}/members": (call) => {
    const team = teamOf(call);
    // "Team members will include the members of child teams": the description.
    const ids = new Set(familyOf(call, team).flatMap(({ memberIds }) => [...memberIds]));
    return listPeople(call, [...ids], `/organizations/${team.organizationId}/team/${team.id}/members`);
  },
  "get /orgs/{org}/teams/{team_slug}/repos": (call) => {
    const team = teamOf(call);
    const { world, viewer, addresses } = call;
    const all = [...team.repositories].flatMap(([id, permission]) => {
      const repository = world.repositories.get(id);
      return repository !== undefined && maySee(world, viewer, repository) ? [{ repository, permission }] : [];
    });
    return replyList(call, {
      all,
      write: ({ repository, permission }) => writeListedRepository(repository, world, { addresses, permission }),
      path: `/organizations/${team.organizationId}/team/${team.id}/repos`,
    });
  },
};

function replyAccount({ world, addresses, isEnterprise }: Call, owner: Owner | undefined): Reply {
  if (owner === undefined) throw notFound();
  const isSuspended = owner.type === "User" && owner.isSuspended;
  if (isSuspended && !isEnterprise) throw notFound();
  const value: Shape = {
    ...writePublicUser(owner, world, addresses),
    ...(isEnterprise && { suspended_at: isSuspended ? isoTime(owner.createdAt) : null }),
  };
  return { status: 200, value };
}

function listMembers(call: Call): Reply {
  const { world, viewer, query } = call;
  const organization = organizationOf(call);
  const isInside = mayReadMembers(world, viewer, organization);
  if (!isInside && viewer.type === "installation") throw notAccessible("members=read");
  const role = query.get("role") ?? "all";
  const members = [...organization.members].filter(
    ([id, given]) => (role === "all" || role === given) && (isInside || organization.publicMemberIds.has(id)),
  );
  const ids = members.map(([id]) => id);
  return listPeople(call, ids, `/organizations/${organization.id}/members`);
}

function listPeople(call: Call, ids: readonly number[], path: string): Reply {
  const { world, addresses } = call;
  const all = ids.flatMap((id) => {
    const owner = world.owners.get(id);
    return owner?.type === "User" && !owner.isSuspended ? [owner] : [];
  });
  return replyList(call, { all, write: (owner) => writeOwner(owner, addresses), path });
}

function checkMayReadMembers({ world, viewer }: Call, organization: Organization): void {
  if (mayReadMembers(world, viewer, organization)) return;
  if (viewer.type === "installation" || viewer.type === "fine-grained") throw notAccessible("members=read");
  if (standingIn(viewer, organization) !== undefined) {
    throw new Refusal(403, "Must have the read:org scope to see this organization.", {
      headers: { "x-accepted-oauth-scopes": "admin:org, read:org, repo, user, write:org" },
    });
  }
  throw new Refusal(403, "Must be a member of this organization.");
}

function maySeeSettings({ world, viewer }: Call, organization: Organization): boolean {
  if (viewer.type === "installation") {
    const installation = world.entities.installations.get(viewer.installationId);
    const isOnIt = installation?.accountId === organization.id;
    return isOnIt && hasPermission(viewer, "organization_administration", "read");
  }
  const isOwner = standingIn(viewer, organization) === "admin";
  if (viewer.type === "fine-grained") return isOwner && hasPermission(viewer, "organization_administration", "read");
  return isOwner && hasScope(viewer, "read:org");
}

function teamOf(call: Call): Team {
  const organization = organizationOf(call);
  checkMayReadMembers(call, organization);
  const found = call.world.teamsOf(organization.id).find(({ slug }) => slug === call.params["team_slug"]);
  if (found === undefined) throw notFound();
  return found;
}

function familyOf(call: Call, team: Team): Team[] {
  const children = call.world.teamsOf(team.organizationId).filter(({ parentId }) => parentId === team.id);
  return [team, ...children.flatMap((child) => familyOf(call, child))];
}
