/**
 * The tables as Kysely knows them. `migrations.ts` makes them; a change here needs a migration there.
 *
 * @module
 */

/** A row of `environments`. JSON columns are text, checked by `wire/environment.ts`. Times are epoch ms. */
export interface EnvironmentRow {
  id: string;
  person: string;
  repository: string;
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
  uid: number;
  freed_at: number;
}

export interface Tables {
  environments: EnvironmentRow;
  freed_uids: FreedUidRow;
}
