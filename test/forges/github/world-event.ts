/**
 * What GitHub sends webhooks for, as a world tells it: the things themselves, from which payloads are written.
 *
 * @module
 */
import type { Installation, Organization, Owner, Permission, Repository, Team, User } from "./entities.ts";

export type WorldEvent =
  | MemberEvent
  | { readonly name: "membership"; readonly action: "added" | "removed"; readonly team: Team; readonly user: User }
  | TeamEvent
  | OrganizationEvent
  | RepositoryEvent
  | InstallationEvent
  | {
      readonly name: "installation_repositories";
      readonly action: "added" | "removed";
      readonly installation: Installation;
      readonly repositories: readonly Repository[];
    }
  /** `before`: the login it had. */
  | {
      readonly name: "installation_target";
      readonly action: "renamed";
      readonly account: Owner;
      readonly before: string;
    };

export type MemberEvent = { readonly name: "member"; readonly repository: Repository; readonly user: User } & (
  | { readonly action: "added"; readonly permission: Permission }
  | { readonly action: "edited"; readonly permission: Permission; readonly before: Permission }
  | { readonly action: "removed" }
);

export type TeamEvent = { readonly name: "team"; readonly team: Team } & (
  | { readonly action: "created" | "deleted" }
  | { readonly action: "added_to_repository" | "removed_from_repository"; readonly repository: Repository }
  | { readonly action: "edited"; readonly repository: Repository; readonly before: Permission }
);

export type OrganizationEvent = { readonly name: "organization"; readonly organization: Organization } & (
  | { readonly action: "member_added" | "member_removed"; readonly user: User; readonly role: "member" | "admin" }
  | { readonly action: "renamed"; readonly before: string }
  | { readonly action: "deleted" }
);

export type RepositoryEvent = { readonly name: "repository"; readonly repository: Repository } & (
  | { readonly action: "created" | "deleted" | "archived" | "unarchived" | "privatized" | "publicized" }
  | { readonly action: "renamed"; readonly before: string }
  | { readonly action: "transferred"; readonly before: Owner }
);

export interface InstallationEvent {
  readonly name: "installation";
  readonly action: "created" | "deleted" | "suspend" | "unsuspend" | "new_permissions_accepted";
  readonly installation: Installation;
}
