/**
 * Several services in one database: each environment belongs to a cluster, and what was unique is so within that. And the
 * name of a repository beside its id, which for those of a forge is a number.
 *
 * Both tables are made anew: SQLite cannot take back the constraint that a uid is unique everywhere.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";

const KEPT = sql.raw(
  "id, person, repository, branch, login, from_branch, uid, hostname, desired, power, operation, fence, conditions, " +
    "inventory, definition, created_at, last_active_at",
);

export async function up(database: Kysely<unknown>): Promise<void> {
  await makeEnvironments(database);
  await sql`insert into environments_by_cluster (${KEPT}) select ${KEPT} from environments`.execute(database);
  await database.schema.dropTable("environments").execute();
  await database.schema.alterTable("environments_by_cluster").renameTo("environments").execute();
  for (const [name, columns] of [
    ["environments_place", ["cluster", "person", "repository", "branch"]],
    ["environments_login", ["cluster", "person", "login"]],
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
    .createTable("freed_uids_by_cluster")
    .addColumn("cluster", "text", (column) => column.notNull().defaultTo("local"))
    .addColumn("uid", "integer", (column) => column.notNull())
    .addColumn("freed_at", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("freed_uids_key", ["cluster", "uid"])
    .execute();
  await sql`insert into freed_uids_by_cluster (uid, freed_at) select uid, freed_at from freed_uids`.execute(database);
  await database.schema.dropTable("freed_uids").execute();
  await database.schema.alterTable("freed_uids_by_cluster").renameTo("freed_uids").execute();
}

async function makeEnvironments(database: Kysely<unknown>): Promise<void> {
  await database.schema
    .createTable("environments_by_cluster")
    .addColumn("id", "text", (column) => column.primaryKey().notNull())
    .addColumn("cluster", "text", (column) => column.notNull().defaultTo("local"))
    .addColumn("person", "text", (column) => column.notNull())
    .addColumn("repository", "text", (column) => column.notNull())
    .addColumn("repository_name", "text", (column) => column.notNull().defaultTo(""))
    .addColumn("branch", "text", (column) => column.notNull())
    .addColumn("login", "text", (column) => column.notNull())
    .addColumn("from_branch", "text")
    .addColumn("uid", "integer", (column) => column.notNull())
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
    .addUniqueConstraint("environments_uid", ["cluster", "uid"])
    .execute();
}
