/**
 * Writes webhooks' payloads for what happened in a world, as GitHub does.
 *
 * @module
 */
import type { Installation, Organization, Owner, Repository, Team, User } from "./entities.ts";
import { writeOrganizationOf, writeRepository } from "./repository-shapes.ts";
import { legacyPermission, permissionFlags, roleName } from "./roles.ts";
import {
  writeInstallation,
  writeOrganization,
  writeOwner,
  writePublicUser,
  writeRepositoryName,
  writeTeam,
  nodeId,
  type Addresses,
  type Shape,
} from "./shapes.ts";
import type { MemberEvent, OrganizationEvent, RepositoryEvent, TeamEvent, WorldEvent } from "./world-event.ts";
import type { World } from "./world.ts";

/** What is sent, and whom it is about. */
export interface Payload {
  /** `X-GitHub-Event` */
  readonly event: string;
  /** `undefined` for the few events that have none. */
  readonly action: string | undefined;
  /** Name of its schema among the description's `x-webhooks`. */
  readonly schema: string;
  readonly body: Shape;
  /** Account whose webhooks get it. */
  readonly accountId: number;
  readonly repositoryId: number | undefined;
}

export function writePayloads(event: WorldEvent, world: World, addresses: Addresses): Payload[] {
  const writer = new Writer(world, addresses);
  switch (event.name) {
    case "member":
      return [writer.member(event)];
    case "membership":
      return [writer.membership(event.action, event.team, event.user)];
    case "team":
      return writer.team(event);
    case "organization":
      return [writer.organization(event)];
    case "repository":
      return [writer.repository(event)];
    case "installation":
      return [writer.installation(event.action, event.installation)];
    case "installation_repositories":
      return [writer.installationRepositories(event.action, event.installation, event.repositories)];
    case "installation_target":
      return [writer.target(event.account, event.before)];
  }
}

class Writer {
  readonly #world: World;
  readonly #addresses: Addresses;

  constructor(world: World, addresses: Addresses) {
    this.#world = world;
    this.#addresses = addresses;
  }

  member(event: MemberEvent): Payload {
    const { repository, user, action } = event;
    const body = { ...this.#about(repository), member: writeOwner(user, this.#addresses) };
    const permission = event.action === "removed" ? undefined : legacyPermission(event.permission);
    const changes =
      event.action === "added"
        ? { permission: { to: permission }, role_name: { to: roleName(event.permission) } }
        : event.action === "edited" && { permission: { from: legacyPermission(event.before), to: permission } };
    return this.#payload("member", action, { body: { ...body, ...(changes !== false && { changes }) }, repository });
  }

  membership(action: "added" | "removed", team: Team, user: User): Payload {
    const body = { ...this.#ofTeam(team), scope: "team", member: writeOwner(user, this.#addresses) };
    return this.#payload("membership", action, { body, accountId: team.organizationId });
  }

  team(event: TeamEvent): Payload[] {
    const { team, action } = event;
    const accountId = team.organizationId;
    if (!("repository" in event)) {
      return [this.#payload("team", action, { body: this.#ofTeam(team), accountId })];
    }
    const { repository } = event;
    const body = { ...this.#ofTeam(team), repository: this.#repository(repository) };
    const changes = event.action === "edited" && {
      changes: { repository: { permissions: { from: permissionFlags(event.before) } } },
    };
    const payload = this.#payload("team", action, { body: { ...body, ...changes }, repository });
    if (action !== "added_to_repository") return [payload];
    return [payload, this.#payload("team_add", undefined, { body, repository })];
  }

  organization(event: OrganizationEvent): Payload {
    const { organization, action } = event;
    const body = { ...this.#ofOrganization(organization) };
    const more =
      event.action === "renamed"
        ? { changes: { login: { from: event.before } } }
        : event.action !== "deleted" && { membership: this.#membership(organization, event.user, event.role) };
    return this.#payload("organization", action, { body: { ...body, ...more }, accountId: organization.id });
  }

  repository(event: RepositoryEvent): Payload {
    const { repository, action } = event;
    const changes =
      event.action === "renamed"
        ? { changes: { repository: { name: { from: event.before } } } }
        : event.action === "transferred" && { changes: { owner: { from: this.#from(event.before) } } };
    return this.#payload("repository", action, { body: { ...this.#about(repository), ...changes }, repository });
  }

  installation(action: string, installation: Installation): Payload {
    const repositories = this.#world
      .repositoriesOf(installation.accountId)
      .filter(({ id }) => installation.repositoryIds?.has(id) ?? true);
    const body = {
      installation: writeInstallation(installation, this.#world, this.#addresses),
      ...((action === "created" || action === "deleted") && {
        repositories: repositories.map((repository) => writeRepositoryName(repository, this.#world)),
      }),
      sender: this.#sender(this.#world.owner(installation.accountId)),
    };
    return this.#payload("installation", action, { body, accountId: installation.accountId });
  }

  installationRepositories(
    action: "added" | "removed",
    installation: Installation,
    repositories: readonly Repository[],
  ): Payload {
    const names = repositories.map((repository) => writeRepositoryName(repository, this.#world));
    const body = {
      installation: writeInstallation(installation, this.#world, this.#addresses),
      repository_selection: installation.repositoryIds === undefined ? "all" : "selected",
      ...{
        repositories_added: action === "added" ? names : [],
        repositories_removed: action === "removed" ? names : [],
      },
      ...{ requester: null, sender: this.#sender(this.#world.owner(installation.accountId)) },
    };
    return this.#payload("installation_repositories", action, { body, accountId: installation.accountId });
  }

  target(account: Owner, before: string): Payload {
    const body = {
      ...{ account: writePublicUser(account, this.#world, this.#addresses), changes: { login: { from: before } } },
      ...{ target_type: account.type, sender: this.#sender(account) },
    };
    return this.#payload("installation_target", "renamed", { body, accountId: account.id });
  }

  #payload(event: string, action: string | undefined, about: About): Payload {
    const accountId = about.repository?.ownerId ?? about.accountId ?? 0;
    const schema = [event, ...(action === undefined ? [] : [action])].join("-").replaceAll("_", "-");
    const body = { ...(action !== undefined && { action }), ...about.body };
    return { event, action, schema, body, accountId, repositoryId: about.repository?.id };
  }

  #about(repository: Repository): Shape {
    const owner = this.#world.owner(repository.ownerId);
    return {
      repository: this.#repository(repository),
      ...writeOrganizationOf(repository, this.#world, this.#addresses),
      sender: this.#sender(owner),
    };
  }

  #ofOrganization(organization: Organization): Shape {
    return { organization: writeOrganization(organization, this.#addresses), sender: this.#sender(organization) };
  }

  #ofTeam(team: Team): Shape {
    const organization = this.#world.owner(team.organizationId);
    const { parent, ...rest } = writeTeam(team, this.#world, this.#addresses);
    return {
      team: { ...rest, ...(parent !== null && { parent }) },
      ...(organization.type === "Organization" && this.#ofOrganization(organization)),
    };
  }

  #membership(organization: Organization, user: User, role: "member" | "admin"): Shape {
    const url = `${this.#addresses.api}/orgs/${organization.login}`;
    return {
      ...{ url: `${url}/memberships/${user.login}`, state: "active", role, organization_url: url },
      user: writeOwner(user, this.#addresses),
    };
  }

  #from(owner: Owner): Shape {
    return owner.type === "User"
      ? { user: writeOwner(owner, this.#addresses) }
      : { organization: writeOrganization(owner, this.#addresses) };
  }

  #repository(repository: Repository): Shape {
    return writeRepository(repository, this.#world, { addresses: this.#addresses });
  }

  /** Whoever did it: an owner, since they may do anything. */
  #sender(owner: Owner): Shape {
    if (owner.type === "User") return writeOwner(owner, this.#addresses);
    const [adminId] = [...owner.members].find(([, role]) => role === "admin") ?? [];
    const admin = adminId === undefined ? undefined : this.#world.owners.get(adminId);
    return writeOwner(admin ?? GHOST, this.#addresses);
  }
}

interface About {
  readonly body: Shape;
  readonly repository?: Repository;
  readonly accountId?: number;
}

/** github.com's account in the place of those that are gone. */
const GHOST: User = {
  ...{ type: "User", id: 10_137, login: "ghost", createdAt: 0, name: null, email: null, keys: [], isSuspended: false },
};

/** `installation` of a payload that an App gets. */
export function writeInstallationName(installation: Installation): Shape {
  return { id: installation.id, node_id: nodeId("I", installation.id) };
}
