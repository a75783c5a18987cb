/**
 * Writes repositories as GitHub's API does: in lists, by themselves, and in webhooks.
 *
 * @module
 */
import type { Permission, Repository } from "./entities.ts";
import { permissionFlags, roleName } from "./roles.ts";
import { isoTime, nodeId, writeOrganization, writeOwner, type Addresses, type Shape } from "./shapes.ts";
import type { World } from "./world.ts";

/** Below the address of a repository, by the name of the member. */
const BELOW: Readonly<Record<string, string>> = {
  forks_url: "/forks",
  keys_url: "/keys{/key_id}",
  collaborators_url: "/collaborators{/collaborator}",
  teams_url: "/teams",
  hooks_url: "/hooks",
  issue_events_url: "/issues/events{/number}",
  events_url: "/events",
  assignees_url: "/assignees{/user}",
  branches_url: "/branches{/branch}",
  tags_url: "/tags",
  blobs_url: "/git/blobs{/sha}",
  git_tags_url: "/git/tags{/sha}",
  git_refs_url: "/git/refs{/sha}",
  trees_url: "/git/trees{/sha}",
  statuses_url: "/statuses/{sha}",
  languages_url: "/languages",
  stargazers_url: "/stargazers",
  contributors_url: "/contributors",
  subscribers_url: "/subscribers",
  subscription_url: "/subscription",
  commits_url: "/commits{/sha}",
  git_commits_url: "/git/commits{/sha}",
  comments_url: "/comments{/number}",
  issue_comment_url: "/issues/comments{/number}",
  contents_url: "/contents/{+path}",
  compare_url: "/compare/{base}...{head}",
  merges_url: "/merges",
  archive_url: "/{archive_format}{/ref}",
  downloads_url: "/downloads",
  issues_url: "/issues{/number}",
  pulls_url: "/pulls{/number}",
  milestones_url: "/milestones{/number}",
  notifications_url: "/notifications{?since,all,participating}",
  labels_url: "/labels{/name}",
  releases_url: "/releases{/id}",
  deployments_url: "/deployments",
};

export interface RepositoryShapeOptions {
  readonly addresses: Addresses;
  /** What the viewer has; `undefined`: nothing that is shown. */
  readonly permission?: Permission | undefined;
}

/** `minimal-repository`, `repository` and `repository-webhooks`. */
export function writeRepository(repository: Repository, world: World, options: RepositoryShapeOptions): Shape {
  const { addresses, permission } = options;
  const fullName = world.fullName(repository);
  const url = `${addresses.api}/repos/${fullName}`;
  const html = `${addresses.html}/${fullName}`;
  const host = new URL(addresses.html).host;
  return {
    ...{ id: repository.id, node_id: nodeId("R", repository.id), name: repository.name, full_name: fullName },
    ...{ private: repository.isPrivate, owner: writeOwner(world.owner(repository.ownerId), addresses) },
    ...{ html_url: html, description: null, fork: false, url },
    ...Object.fromEntries(Object.entries(BELOW).map(([name, path]) => [name, url + path])),
    ...{ created_at: isoTime(repository.createdAt), updated_at: isoTime(repository.updatedAt) },
    ...{ pushed_at: isoTime(repository.createdAt), git_url: `git://${host}/${fullName}.git` },
    ...{ ssh_url: `git@${new URL(addresses.html).hostname}:${fullName}.git`, clone_url: `${html}.git` },
    ...{ svn_url: html, homepage: null, size: 1, stargazers_count: 0, watchers_count: 0, language: null },
    ...{ has_issues: true, has_projects: true, has_downloads: true, has_wiki: true, has_pages: false },
    ...{ has_discussions: false, forks_count: 0, mirror_url: null, archived: repository.isArchived, disabled: false },
    ...{ open_issues_count: 0, license: null, allow_forking: true, is_template: false, topics: [] },
    ...{ web_commit_signoff_required: false, visibility: repository.isPrivate ? "private" : "public" },
    ...{ forks: 0, open_issues: 0, watchers: 0, default_branch: repository.defaultBranch },
    ...(permission !== undefined && { permissions: permissionFlags(permission) }),
  };
}

/** A repository in a list of an organisation, which says the viewer's role too. */
export function writeListedRepository(repository: Repository, world: World, options: RepositoryShapeOptions): Shape {
  const { permission } = options;
  return {
    ...writeRepository(repository, world, options),
    ...(permission !== undefined && { role_name: roleName(permission) }),
  };
}

/** `full-repository`. */
export function writeFullRepository(repository: Repository, world: World, options: RepositoryShapeOptions): Shape {
  const owner = world.owner(repository.ownerId);
  return {
    ...writeRepository(repository, world, options),
    ...{ temp_clone_token: null, network_count: 0, subscribers_count: 0 },
    ...(owner.type === "Organization" && { organization: writeOwner(owner, options.addresses) }),
  };
}

/** `organization` of a payload about a repository; none for one of a user. */
export function writeOrganizationOf(repository: Repository, world: World, addresses: Addresses): Shape {
  const owner = world.owner(repository.ownerId);
  return owner.type === "Organization" ? { organization: writeOrganization(owner, addresses) } : {};
}
