/**
 * Services that share a database are installations, since a cluster is a place that runs environments; and the cluster
 * that each environment is on.
 *
 * @module
 */
import type { Kysely } from "kysely";

export async function up(database: Kysely<unknown>): Promise<void> {
  for (const table of ["environments", "freed_uids"]) {
    await database.schema.alterTable(table).renameColumn("cluster", "installation").execute();
  }
  await database.schema
    .alterTable("environments")
    .addColumn("cluster", "text", (column) => column.notNull().defaultTo("local"))
    .execute();
}
