/**
 * What forges said, the answers kept for conditional requests, and leases.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";

export async function up(database: Kysely<unknown>): Promise<void> {
  await makeFacts(database);
  await makeRoles(database);
  await database.schema
    .createTable("forge_answers")
    .addColumn("forge", "text", (column) => column.notNull())
    .addColumn("url", "text", (column) => column.notNull())
    .addColumn("etag", "text", (column) => column.notNull())
    .addColumn("body", "text", (column) => column.notNull())
    .addColumn("next", "text")
    .addPrimaryKeyConstraint("forge_answers_key", ["forge", "url"])
    .execute();
  await database.schema
    .createTable("leases")
    .addColumn("name", "text", (column) => column.primaryKey().notNull())
    .addColumn("holder", "text", (column) => column.notNull())
    .addColumn("expires_at", "bigint", (column) => column.notNull())
    .execute();
}

async function makeFacts(database: Kysely<unknown>): Promise<void> {
  await database.schema
    .createTable("forge_accounts")
    .addColumn("forge", "text", (column) => column.notNull())
    .addColumn("id", "text", (column) => column.notNull())
    .addColumn("login", "text", (column) => column.notNull())
    .addColumn("full_name", "text", (column) => column.notNull())
    .addColumn("email", "text", (column) => column.notNull())
    .addColumn("state", "text", (column) => column.notNull().check(sql`state in ('active', 'suspended', 'gone')`))
    .addColumn("state_verified_at", "bigint", (column) => column.notNull())
    .addColumn("keys", "text", (column) => column.notNull())
    .addColumn("keys_verified_at", "bigint")
    .addPrimaryKeyConstraint("forge_accounts_key", ["forge", "id"])
    .execute();
  await database.schema
    .createTable("forge_repositories")
    .addColumn("forge", "text", (column) => column.notNull())
    .addColumn("id", "text", (column) => column.notNull())
    .addColumn("owner", "text", (column) => column.notNull())
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("clone_url", "text", (column) => column.notNull())
    .addColumn("is_private", "integer", (column) => column.notNull())
    .addColumn("state", "text", (column) => column.notNull().check(sql`state in ('connected', 'archived', 'gone')`))
    .addColumn("state_verified_at", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("forge_repositories_key", ["forge", "id"])
    .execute();
}

/** None of them refers to a repository that must be there: what was learned of roles may be saved before it. */
async function makeRoles(database: Kysely<unknown>): Promise<void> {
  await database.schema
    .createTable("forge_role_lists")
    .addColumn("forge", "text", (column) => column.notNull())
    .addColumn("repository_id", "text", (column) => column.notNull())
    .addColumn("verified_at", "bigint", (column) => column.notNull())
    .addColumn("source", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("forge_role_lists_key", ["forge", "repository_id"])
    .execute();
  await database.schema
    .createTable("forge_roles")
    .addColumn("forge", "text", (column) => column.notNull())
    .addColumn("repository_id", "text", (column) => column.notNull())
    .addColumn("account_id", "text", (column) => column.notNull())
    .addColumn("role", "text", (column) => column.notNull().check(sql`role in ('none', 'read', 'write', 'admin')`))
    .addColumn("verified_at", "bigint")
    .addColumn("source", "text")
    .addPrimaryKeyConstraint("forge_roles_key", ["forge", "repository_id", "account_id"])
    .execute();
}
