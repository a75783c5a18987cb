/**
 * What forges said of accounts, repositories and roles. What each of the methods does stands in `wire/knowledge.ts`; how
 * roles are kept is in `roles.ts`.
 *
 * A fact is replaced only by one that was verified later or at the same moment, and the database sees to that: writers
 * in several processes may finish in any order.
 *
 * @module
 */
import { type Selectable, sql } from "kysely";
import { Fault } from "../base/fault.ts";
import type { AccountFacts, RepositoryFacts } from "../wire/forge.ts";
import type { KnowledgeStore } from "../wire/knowledge.ts";
import type { Engine } from "./engine.ts";
import { findRoles, readRoles, saveRole, saveRoles } from "./roles.ts";
import type { AccountRow, RepositoryRow } from "./schema.ts";

export function makeKnowledgeQueries(engine: Engine): KnowledgeStore {
  const { kysely } = engine;
  return {
    accounts: async () => (await kysely.selectFrom("forge_accounts").selectAll().execute()).map(toAccount),
    repositories: async () => (await selectRepositories(engine).execute()).map(toRepository),
    roles: () => readRoles(kysely),
    findAccount: async ({ forge, id }) => {
      const found = kysely.selectFrom("forge_accounts").selectAll().where("forge", "=", forge).where("id", "=", id);
      const row = await found.executeTakeFirst();
      return row === undefined ? undefined : toAccount(row);
    },
    findRepository: async ({ forge, id }) => {
      const found = selectRepositories(engine).where("repository.forge", "=", forge).where("repository.id", "=", id);
      const row = await found.executeTakeFirst();
      return row === undefined ? undefined : toRepository(row);
    },
    findRoles: (repository) => findRoles(kysely, repository),
    saveAccount: (facts) => saveAccount(engine, facts),
    saveRepository: (facts) => saveRepository(engine, facts),
    saveRoles: (repository, list) => saveRoles(engine, repository, list),
    saveRole: (repository, role) => saveRole(engine, repository, role),
    tellHint: (hint) => kysely.transaction().execute((transaction) => engine.tell(transaction, hint)),
    onChanged: (listener) => engine.onTold(listener),
    holdLease: (name, holder, ttlMs) => holdLease(engine, name, holder, ttlMs),
  };
}

async function saveAccount(engine: Engine, facts: AccountFacts): Promise<void> {
  const { forge, id } = facts;
  const row: AccountRow = {
    ...{ forge, id, login: facts.login, full_name: facts.fullName, email: facts.email },
    state: facts.state,
    state_verified_at: facts.stateVerifiedAt,
    keys: JSON.stringify(facts.keys),
    keys_verified_at: facts.keysVerifiedAt ?? null,
  };
  const later = laterOf("forge_accounts");
  await engine.kysely.transaction().execute(async (transaction) => {
    await transaction
      .insertInto("forge_accounts")
      .values(row)
      .onConflict((conflict) =>
        conflict.columns(["forge", "id"]).doUpdateSet({
          ...later(["login", "full_name", "email", "state", "state_verified_at"], "state_verified_at"),
          ...later(["keys", "keys_verified_at"], "keys_verified_at"),
        }),
      )
      .execute();
    await engine.tell(transaction, { type: "account", forge, id });
  });
}

async function saveRepository(engine: Engine, facts: RepositoryFacts): Promise<void> {
  const { forge, id } = facts;
  const row: RepositoryRow = {
    ...{ forge, id, owner: facts.owner, name: facts.name, clone_url: facts.cloneUrl },
    is_private: facts.isPrivate ? 1 : 0,
    state: facts.state,
    state_verified_at: facts.stateVerifiedAt,
  };
  const later = laterOf("forge_repositories");
  const columns = ["owner", "name", "clone_url", "is_private", "state", "state_verified_at"];
  await engine.kysely.transaction().execute(async (transaction) => {
    await transaction
      .insertInto("forge_repositories")
      .values(row)
      .onConflict((conflict) => conflict.columns(["forge", "id"]).doUpdateSet(later(columns, "state_verified_at")))
      .execute();
    await engine.tell(transaction, { type: "repository", forge, id });
  });
}

/** What an upsert sets: for each of `columns` the new value if it was verified, by `column`, no earlier than the old one. */
function laterOf(table: string) {
  return (columns: readonly string[], by: string) => {
    const time = (row: string) => sql`coalesce(${sql.ref(`${row}.${by}`)}, -1)`;
    const chosen = (column: string) =>
      sql<never>`case when ${time("excluded")} >= ${time(table)}
        then ${sql.ref(`excluded.${column}`)} else ${sql.ref(`${table}.${column}`)} end`;
    return Object.fromEntries(columns.map((column) => [column, chosen(column)]));
  };
}

async function holdLease(engine: Engine, name: string, holder: string, ttlMs: number): Promise<boolean> {
  const { now } = engine;
  const held = await sql`
    insert into leases (name, holder, expires_at) values (${name}, ${holder}, ${now} + ${ttlMs})
    on conflict (name) do update set holder = excluded.holder, expires_at = excluded.expires_at
      where leases.holder = excluded.holder or leases.expires_at <= ${now}
    returning name`.execute(engine.kysely);
  return held.rows.length > 0;
}

function selectRepositories({ kysely }: Engine) {
  return kysely
    .selectFrom("forge_repositories as repository")
    .leftJoin("forge_role_lists as list", (join) =>
      join.onRef("list.forge", "=", "repository.forge").onRef("list.repository_id", "=", "repository.id"),
    )
    .selectAll("repository")
    .select("list.verified_at as roles_verified_at");
}

function toAccount(row: Selectable<AccountRow>): AccountFacts {
  return {
    forge: row.forge,
    id: row.id,
    login: row.login,
    fullName: row.full_name,
    email: row.email,
    state: row.state,
    stateVerifiedAt: row.state_verified_at,
    keys: readKeys(row),
    keysVerifiedAt: row.keys_verified_at ?? undefined,
  };
}

function readKeys({ forge, id, keys }: AccountRow): string[] {
  const list: unknown = JSON.parse(keys);
  if (Array.isArray(list) && list.every((key) => typeof key === "string")) return list;
  throw new Fault("state.damaged", `Cannot read the keys of account ${forge}.${id}: they have another shape`);
}

function toRepository(row: RepositoryRow & { roles_verified_at: number | null }): RepositoryFacts {
  return {
    forge: row.forge,
    id: row.id,
    owner: row.owner,
    name: row.name,
    cloneUrl: row.clone_url,
    isPrivate: row.is_private === 1,
    state: row.state,
    stateVerifiedAt: row.state_verified_at,
    rolesVerifiedAt: row.roles_verified_at ?? undefined,
  };
}
