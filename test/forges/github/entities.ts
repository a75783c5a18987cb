/**
 * What GitHub knows of, in as much as it matters for who may use which repository. Plain data, so that a world can be
 * copied whole.
 *
 * @module
 */

/** What somebody may do with a repository, from least to most. */
export const PERMISSIONS = ["pull", "triage", "push", "maintain", "admin"] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** What an organisation gives each member in each of its repositories. */
export type BasePermission = "none" | "read" | "write" | "admin";

export interface Key {
  readonly id: number;
  /** Kind and base64, without a comment, as GitHub shows keys. */
  readonly line: string;
  readonly createdAt: number;
}

interface Account {
  /** Of users and organisations together. */
  readonly id: number;
  login: string;
  readonly createdAt: number;
}

export interface User extends Account {
  readonly type: "User";
  /** `null`: the profile says none. */
  name: string | null;
  email: string | null;
  keys: Key[];
  isSuspended: boolean;
}

export interface Organization extends Account {
  readonly type: "Organization";
  basePermission: BasePermission;
  /** Numbers of users, and whether they own it. */
  readonly members: Map<number, "member" | "admin">;
  /** Those who let everybody see that they are members. */
  readonly publicMemberIds: Set<number>;
}

export type Owner = User | Organization;

export interface Team {
  readonly id: number;
  readonly organizationId: number;
  readonly name: string;
  readonly slug: string;
  /** A child team has what its parents have. */
  readonly parentId: number | undefined;
  readonly memberIds: Set<number>;
  readonly repositories: Map<number, Permission>;
}

export interface Repository {
  readonly id: number;
  ownerId: number;
  name: string;
  isPrivate: boolean;
  isArchived: boolean;
  readonly defaultBranch: string;
  /** Direct collaborators. */
  readonly collaborators: Map<number, Permission>;
  readonly createdAt: number;
  updatedAt: number;
}

/** `read` or `write` for each permission of a GitHub App: `metadata`, `contents`, `members` … */
export type AppPermissions = Readonly<Record<string, "read" | "write" | "admin">>;

export interface App {
  readonly id: number;
  readonly slug: string;
  readonly clientId: string;
  readonly ownerId: number;
  readonly permissions: AppPermissions;
  readonly events: readonly string[];
  /** PEM, as an operator downloads it from GitHub: PKCS#1. */
  readonly privateKey: string;
  readonly publicKey: string;
  readonly createdAt: number;
}

export interface Installation {
  readonly id: number;
  readonly appId: number;
  readonly accountId: number;
  permissions: AppPermissions;
  /** `undefined`: all repositories of the account. */
  repositoryIds: Set<number> | undefined;
  suspendedAt: number | undefined;
  readonly createdAt: number;
}

/** Everything there is. */
export interface Entities {
  readonly owners: Map<number, Owner>;
  readonly repositories: Map<number, Repository>;
  readonly teams: Map<number, Team>;
  readonly apps: Map<number, App>;
  readonly installations: Map<number, Installation>;
  /** Lower case `owner/name` that was given up, and the repository that it leads to. */
  readonly redirects: Map<string, number>;
}
