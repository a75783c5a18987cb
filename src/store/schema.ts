/**
 * The tables as Kysely knows them. `migrations.ts` makes them; a change here needs a migration there.
 *
 * Times are epoch ms, truth values 0 and 1, and columns that are said to be JSON are text.
 *
 * @module
 */
import type { AccountFacts, ForgeRole, RepositoryFacts } from "../wire/forge.ts";

/** A row of `environments`. `conditions`, `inventory` and `definition` are JSON, checked by `wire/environment.ts`. */
export interface EnvironmentRow {
  id: string;
  /** The service that writes it. */
  installation: string;
  /** The place that runs it, as the settings call it; `local` is this machine. */
  cluster: string;
  person: string;
  repository: string;
  /** What people type for the repository; "" before there was another than `repository`. */
  repository_name: string;
  branch: string;
  login: string;
  from_branch: string | null;
  uid: number;
  hostname: string;
  desired: "present" | "absent";
  power: "running" | "sleeping" | "waking";
  operation: string | null;
  fence: number;
  conditions: string;
  inventory: string;
  definition: string | null;
  created_at: number;
  last_active_at: number;
}

/** A uid whose environment is gone, so that the one freed longest ago is given out first. */
export interface FreedUidRow {
  installation: string;
  uid: number;
  freed_at: number;
}

export interface AccountRow {
  forge: string;
  id: string;
  login: string;
  full_name: string;
  email: string;
  state: AccountFacts["state"];
  state_verified_at: number;
  /** JSON: a list of strings. */
  keys: string;
  keys_verified_at: number | null;
}

export interface RepositoryRow {
  forge: string;
  id: string;
  owner: string;
  name: string;
  clone_url: string;
  is_private: number;
  state: RepositoryFacts["state"];
  state_verified_at: number;
}

/** The complete list of a repository's collaborators that was verified last. Its entries are in `forge_roles`. */
export interface RoleListRow {
  forge: string;
  repository_id: string;
  verified_at: number;
  source: string;
}

/**
 * A role. One that stands in the complete list has no time and source of its own, so that a list that says the same
 * again changes no row; one that was asked for by itself, after the list, has both.
 */
export interface RoleRow {
  forge: string;
  repository_id: string;
  account_id: string;
  role: ForgeRole;
  verified_at: number | null;
  source: string | null;
}

/** An answer kept for conditional requests. */
export interface AnswerRow {
  forge: string;
  url: string;
  etag: string;
  body: string;
  next: string | null;
}

/** An environment kept ready, until it is claimed or goes. */
export interface PoolMemberRow {
  id: string;
  installation: string;
  cluster: string;
  pool: string;
  version: string;
  state: "filling" | "ready" | "claimed" | "failed" | "leaving";
  reason: string | null;
  image: string | null;
  created_at: number;
  ready_at: number | null;
  claimed_at: number | null;
}

/** Failures in a row of a pool; no row when the last member came out well. */
export interface PoolFailureRow {
  installation: string;
  pool: string;
  version: string;
  failed_count: number;
  reason: string;
  failed_at: number;
}

/** How much of something a pool had in the hour that begins at `hour_at`. */
export interface PoolCountRow {
  installation: string;
  pool: string;
  hour_at: number;
  what: string;
  amount: number;
}

/** `expires_at` is by the database's clock. */
export interface LeaseRow {
  name: string;
  holder: string;
  expires_at: number;
}

export interface Tables {
  environments: EnvironmentRow;
  freed_uids: FreedUidRow;
  pool_members: PoolMemberRow;
  pool_failures: PoolFailureRow;
  pool_counts: PoolCountRow;
  forge_accounts: AccountRow;
  forge_repositories: RepositoryRow;
  forge_role_lists: RoleListRow;
  forge_roles: RoleRow;
  forge_answers: AnswerRow;
  leases: LeaseRow;
}
