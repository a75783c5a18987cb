/**
 * Environments kept ready for whoever comes: the members of pools, and what became of claims.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";

export async function up(database: Kysely<unknown>): Promise<void> {
  await database.schema
    .createTable("pool_members")
    .addColumn("id", "text", (column) => column.primaryKey().notNull())
    .addColumn("installation", "text", (column) => column.notNull())
    .addColumn("cluster", "text", (column) => column.notNull())
    .addColumn("pool", "text", (column) => column.notNull())
    .addColumn("version", "text", (column) => column.notNull())
    .addColumn("state", "text", (column) =>
      column.notNull().check(sql`state in ('filling', 'ready', 'claimed', 'failed', 'leaving')`),
    )
    .addColumn("reason", "text")
    .addColumn("image", "text")
    .addColumn("created_at", "bigint", (column) => column.notNull())
    .addColumn("ready_at", "bigint")
    .addColumn("claimed_at", "bigint")
    .execute();
  await database.schema
    .createIndex("pool_members_ready")
    .on("pool_members")
    .columns(["installation", "pool", "state"])
    .execute();
  await database.schema
    .createTable("pool_failures")
    .addColumn("installation", "text", (column) => column.notNull())
    .addColumn("pool", "text", (column) => column.notNull())
    .addColumn("version", "text", (column) => column.notNull())
    .addColumn("failed_count", "integer", (column) => column.notNull())
    .addColumn("reason", "text", (column) => column.notNull())
    .addColumn("failed_at", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("pool_failures_key", ["installation", "pool"])
    .execute();
  await database.schema
    .createTable("pool_counts")
    .addColumn("installation", "text", (column) => column.notNull())
    .addColumn("pool", "text", (column) => column.notNull())
    .addColumn("hour_at", "bigint", (column) => column.notNull())
    .addColumn("what", "text", (column) => column.notNull())
    .addColumn("amount", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("pool_counts_key", ["installation", "pool", "hour_at", "what"])
    .execute();
}
