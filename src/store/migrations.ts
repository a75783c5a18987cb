/**
 * The migrations, as code and in order, for both databases. One that has been released is never edited: a change is a
 * new one. Those that are due run in one transaction, so that a process that is killed leaves nothing half done.
 *
 * @module
 */
import type { MigrationProvider } from "kysely/migration";
import * as environments from "./migrations/0001-environments.ts";
import * as clusters from "./migrations/0002-clusters.ts";
import * as forges from "./migrations/0003-forges.ts";
import * as places from "./migrations/0004-places.ts";
import * as pools from "./migrations/0005-pools.ts";

/** Hands the migrations to Kysely's Migrator. */
export const migrationProvider: MigrationProvider = {
  getMigrations: async () => ({
    "0001-environments": environments,
    "0002-clusters": clusters,
    "0003-forges": forges,
    "0004-places": places,
    "0005-pools": pools,
  }),
};
