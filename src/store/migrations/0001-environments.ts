/**
 * Environments, and the uids that were theirs.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";

export async function up(database: Kysely<unknown>): Promise<void> {
  await database.schema
    .createTable("environments")
    .addColumn("id", "text", (column) => column.primaryKey().notNull())
    .addColumn("person", "text", (column) => column.notNull())
    .addColumn("repository", "text", (column) => column.notNull())
    .addColumn("branch", "text", (column) => column.notNull())
    .addColumn("login", "text", (column) => column.notNull())
    .addColumn("from_branch", "text")
    .addColumn("uid", "integer", (column) => column.notNull().unique())
    .addColumn("hostname", "text", (column) => column.notNull())
    .addColumn("desired", "text", (column) => column.notNull().check(sql`desired in ('present', 'absent')`))
    .addColumn("power", "text", (column) => column.notNull().check(sql`power in ('running', 'sleeping', 'waking')`))
    .addColumn("operation", "text")
    .addColumn("fence", "integer", (column) => column.notNull())
    .addColumn("conditions", "text", (column) => column.notNull())
    .addColumn("inventory", "text", (column) => column.notNull())
    .addColumn("definition", "text")
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("last_active_at", "bigint", (column) => column.notNull())
    .execute();
  // A new environment may be made while the old one of the same place is still being taken down.
  for (const [name, columns] of [
    ["environments_place", ["person", "repository", "branch"]],
    ["environments_login", ["person", "login"]],
  ] as const) {
    await database.schema
      .createIndex(name)
      .on("environments")
      .columns([...columns])
      .unique()
      .where(sql.ref("desired"), "=", sql.lit("present"))
      .execute();
  }
  await database.schema
    .createTable("freed_uids")
    .addColumn("uid", "integer", (column) => column.primaryKey().notNull())
    .addColumn("freed_at", "bigint", (column) => column.notNull())
    .execute();
}
