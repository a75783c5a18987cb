/**
 * Writes accounts, repositories, teams and Apps as GitHub's API does. What Slipway does not read is filled in as for
 * things nobody has touched, so that every member that the description requires is there.
 *
 * @module
 */
import type { App, Installation, Key, Organization, Owner, Permission, Repository, Team, User } from "./entities.ts";
import { permissionFlags, roleName } from "./roles.ts";
import type { World } from "./world.ts";

/** A writer that knows its addresses. */
export interface Addresses {
  /** Of the API, without a slash at the end. */
  readonly api: string;
  /** What people open, and git clones from. */
  readonly html: string;
}

export type Shape = Readonly<Record<string, unknown>>;

export function nodeId(kind: string, id: number): string {
  return `${kind}_${Buffer.from(String(id)).toString("base64url")}`;
}

export function isoTime(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, "Z");
}

/** `simple-user`, which organisations that own things are too. */
export function writeOwner(owner: Owner, { api, html }: Addresses): Shape {
  const url = `${api}/users/${owner.login}`;
  return {
    ...{ login: owner.login, id: owner.id, node_id: nodeId(owner.type === "User" ? "U" : "O", owner.id) },
    ...{ avatar_url: `${html}/avatars/u/${owner.id}?v=4`, gravatar_id: "", url, html_url: `${html}/${owner.login}` },
    ...{ followers_url: `${url}/followers`, following_url: `${url}/following{/other_user}` },
    ...{ gists_url: `${url}/gists{/gist_id}`, starred_url: `${url}/starred{/owner}{/repo}` },
    ...{ subscriptions_url: `${url}/subscriptions`, organizations_url: `${url}/orgs`, repos_url: `${url}/repos` },
    ...{ events_url: `${url}/events{/privacy}`, received_events_url: `${url}/received_events` },
    ...{ type: owner.type, user_view_type: "public", site_admin: false },
  };
}

/** `public-user`, whole, of a user or an organisation. */
export function writePublicUser(owner: Owner, world: World, addresses: Addresses): Shape {
  const repositories = world.repositoriesOf(owner.id);
  return {
    ...writeOwner(owner, addresses),
    ...{ name: owner.type === "User" ? owner.name : owner.login, email: owner.type === "User" ? owner.email : null },
    ...{ company: null, blog: "", location: null, hireable: null, bio: null, twitter_username: null },
    public_repos: repositories.filter(({ isPrivate }) => !isPrivate).length,
    ...{ public_gists: 0, followers: 0, following: 0 },
    ...{ created_at: isoTime(owner.createdAt), updated_at: isoTime(owner.createdAt) },
  };
}

/** `private-user`: what an account sees of itself. */
export function writePrivateUser(user: User, world: World, addresses: Addresses): Shape {
  const privateCount = world.repositoriesOf(user.id).filter(({ isPrivate }) => isPrivate).length;
  return {
    ...writePublicUser(user, world, addresses),
    ...{ user_view_type: "private", notification_email: user.email, private_gists: 0, disk_usage: 0, collaborators: 0 },
    ...{ total_private_repos: privateCount, owned_private_repos: privateCount, two_factor_authentication: true },
    plan: { name: "free", space: 976_562_499, collaborators: 0, private_repos: 10_000 },
  };
}

/** `organization-simple`. */
export function writeOrganization(organization: Organization, { api, html }: Addresses): Shape {
  const url = `${api}/orgs/${organization.login}`;
  return {
    ...{ login: organization.login, id: organization.id, node_id: nodeId("O", organization.id), url },
    ...{ repos_url: `${url}/repos`, events_url: `${url}/events`, hooks_url: `${url}/hooks` },
    ...{ issues_url: `${url}/issues`, members_url: `${url}/members{/member}` },
    ...{ public_members_url: `${url}/public_members{/member}`, description: null },
    avatar_url: `${html}/avatars/u/${organization.id}?v=4`,
  };
}

/** `organization-full`. @param isForAdmins whether the viewer may see its settings */
export function writeFullOrganization(
  organization: Organization,
  world: World,
  { addresses, isForAdmins }: { readonly addresses: Addresses; readonly isForAdmins: boolean },
): Shape {
  const repositories = world.repositoriesOf(organization.id);
  const privateCount = repositories.filter(({ isPrivate }) => isPrivate).length;
  return {
    ...writeOrganization(organization, addresses),
    ...{ name: organization.login, has_organization_projects: true, has_repository_projects: true },
    ...{ is_verified: false, public_repos: repositories.length - privateCount, public_gists: 0, followers: 0 },
    ...{ following: 0, html_url: `${addresses.html}/${organization.login}`, type: "Organization", archived_at: null },
    ...{ created_at: isoTime(organization.createdAt), updated_at: isoTime(organization.createdAt) },
    ...(isForAdmins && {
      ...{ total_private_repos: privateCount, owned_private_repos: privateCount },
      ...{ default_repository_permission: organization.basePermission, two_factor_requirement_enabled: false },
      ...{ members_can_create_repositories: true, billing_email: null },
    }),
  };
}

/** `key-simple`. */
export function writeKey(key: Key): Shape {
  return { id: key.id, key: key.line, created_at: isoTime(key.createdAt), last_used: null };
}

/** `collaborator`. */
export function writeCollaborator(user: Owner, permission: Permission | undefined, addresses: Addresses): Shape {
  return {
    ...writeOwner(user, addresses),
    permissions: permissionFlags(permission),
    role_name: roleName(permission),
  };
}

/** `team`. */
export function writeTeam(team: Team, world: World, addresses: Addresses): Shape {
  const parent = team.parentId === undefined ? undefined : world.teams.get(team.parentId);
  return {
    ...writeTeamAlone(team, world, addresses),
    parent: parent === undefined ? null : writeTeamAlone(parent, world, addresses),
  };
}

function writeTeamAlone(team: Team, world: World, { api, html }: Addresses): Shape {
  const organization = world.owner(team.organizationId);
  const url = `${api}/organizations/${organization.id}/team/${team.id}`;
  return {
    ...{ id: team.id, node_id: nodeId("T", team.id), name: team.name, slug: team.slug, description: null, url },
    ...{ html_url: `${html}/orgs/${organization.login}/teams/${team.slug}`, members_url: `${url}/members{/member}` },
    ...{ repositories_url: `${url}/repos`, permission: "pull", privacy: "closed", type: "organization" },
    ...{ notification_setting: "notifications_enabled", organization_id: organization.id },
  };
}

/** What of an App is asked for with an assertion of its own. */
export function writeApp(app: App, world: World, addresses: Addresses): Shape {
  return {
    ...{ id: app.id, slug: app.slug, client_id: app.clientId, node_id: nodeId("A", app.id), name: app.slug },
    ...{ owner: writeOwner(world.owner(app.ownerId), addresses), description: null },
    ...{ external_url: "https://slipway.invalid", html_url: `${addresses.html}/apps/${app.slug}` },
    ...{ created_at: isoTime(app.createdAt), updated_at: isoTime(app.createdAt) },
    ...{ permissions: app.permissions, events: app.events },
    installations_count: [...world.entities.installations.values()].filter(({ appId }) => appId === app.id).length,
  };
}

/** `installation`. */
export function writeInstallation(installation: Installation, world: World, addresses: Addresses): Shape {
  const { id, suspendedAt, createdAt } = installation;
  const account = world.owner(installation.accountId);
  const app = world.entities.apps.get(installation.appId);
  const settings = account.type === "User" ? "settings" : `organizations/${account.login}/settings`;
  return {
    ...{ id, client_id: app?.clientId, account: writeOwner(account, addresses), target_id: account.id },
    ...{ repository_selection: installation.repositoryIds === undefined ? "all" : "selected" },
    ...{ access_tokens_url: `${addresses.api}/app/installations/${id}/access_tokens` },
    ...{ repositories_url: `${addresses.api}/installation/repositories` },
    ...{ html_url: `${addresses.html}/${settings}/installations/${id}`, app_id: installation.appId },
    ...{ app_slug: app?.slug ?? "gone", target_type: account.type, permissions: installation.permissions },
    ...{ events: app?.events ?? [], single_file_name: null, has_multiple_single_files: false, single_file_paths: [] },
    ...{ created_at: isoTime(createdAt), updated_at: isoTime(createdAt) },
    suspended_by: suspendedAt === undefined ? null : writeOwner(account, addresses),
    suspended_at: suspendedAt === undefined ? null : isoTime(suspendedAt),
  };
}

/** What a repository is in the payloads of installations. */
export function writeRepositoryName(repository: Repository, world: World): Shape {
  return {
    ...{ id: repository.id, node_id: nodeId("R", repository.id), name: repository.name },
    ...{ full_name: world.fullName(repository), private: repository.isPrivate },
  };
}
