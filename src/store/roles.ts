/**
 * Who has which role in which repository.
 *
 * Used by `knowledge.ts`. A role stands in the complete list that was verified last, or was asked for by itself
 * afterwards, or (where there is no list yet) both are the same to us. The first kind has its time and source from the
 * list, so that a list of thousands that says the same again writes one row. Writers to one repository take turns.
 *
 * @module
 */
import { type Kysely, sql, type Transaction } from "kysely";
import type { ForgeRef, ForgeRole, RoleFact } from "../wire/forge.ts";
import type { CompleteRoles, RolesOf } from "../wire/knowledge.ts";
import type { Engine } from "./engine.ts";
import type { RoleRow, Tables } from "./schema.ts";

/** Rows that one statement writes: four values each, and SQLite takes 32,766 (sqlite.org/limits.html, item 9). */
const ROWS_AT_ONCE = 500;

/** Roles that are in memory at once while all are read (guess); one repository's are never divided. */
const ROLES_AT_ONCE = 10_000;

export async function saveRole(engine: Engine, repository: ForgeRef, fact: RoleFact): Promise<void> {
  const { forge, id } = repository;
  const { role, verifiedAt, source } = fact;
  await engine.exclusively(lockOf(repository), async (transaction) => {
    const list = await findList(transaction, repository);
    if (list !== undefined && list.verified_at > verifiedAt) return;
    const row: RoleRow = {
      forge,
      repository_id: id,
      account_id: fact.accountId,
      role,
      verified_at: verifiedAt,
      source,
    };
    await transaction
      .insertInto("forge_roles")
      .values(row)
      .onConflict((conflict) =>
        conflict
          .columns(["forge", "repository_id", "account_id"])
          .doUpdateSet({ role, verified_at: verifiedAt, source })
          .where(sql`coalesce(forge_roles.verified_at, -1)`, "<=", verifiedAt),
      )
      .execute();
    await engine.tell(transaction, { type: "roles", forge, id });
  });
}

export async function saveRoles(engine: Engine, repository: ForgeRef, list: CompleteRoles): Promise<void> {
  const { forge, id } = repository;
  const { verifiedAt, source } = list;
  await engine.exclusively(lockOf(repository), async (transaction) => {
    const known = await findList(transaction, repository);
    if (known !== undefined && known.verified_at > verifiedAt) return;
    await transaction
      .insertInto("forge_role_lists")
      .values({ forge, repository_id: id, verified_at: verifiedAt, source })
      .onConflict((conflict) =>
        conflict.columns(["forge", "repository_id"]).doUpdateSet({ verified_at: verifiedAt, source }),
      )
      .execute();
    await replaceEntries(transaction, repository, list);
    await engine.tell(transaction, { type: "roles", forge, id });
  });
}

/** Writes what differs. */
async function replaceEntries(
  transaction: Transaction<Tables>,
  repository: ForgeRef,
  { roles, verifiedAt }: CompleteRoles,
): Promise<void> {
  const wanted = new Map(roles.map(({ accountId, role }) => [accountId, role]));
  const gone: string[] = [];
  for (const { account_id: accountId, role, verified_at: singleAt } of await selectEntries(transaction, repository)) {
    const listed = wanted.get(accountId);
    if (singleAt !== null && singleAt > verifiedAt) wanted.delete(accountId);
    else if (listed === undefined) gone.push(accountId);
    else if (singleAt === null && role === listed) wanted.delete(accountId);
  }
  for (const some of chunks(gone)) await removeEntries(transaction, repository, some);
  for (const some of chunks([...wanted])) await writeEntries(transaction, repository, some);
}

function selectEntries(transaction: Transaction<Tables>, { forge, id }: ForgeRef) {
  return transaction
    .selectFrom("forge_roles")
    .select(["account_id", "role", "verified_at"])
    .where("forge", "=", forge)
    .where("repository_id", "=", id)
    .execute();
}

async function removeEntries(transaction: Transaction<Tables>, { forge, id }: ForgeRef, accountIds: string[]) {
  await transaction
    .deleteFrom("forge_roles")
    .where("forge", "=", forge)
    .where("repository_id", "=", id)
    .where("account_id", "in", accountIds)
    .execute();
}

async function writeEntries(transaction: Transaction<Tables>, { forge, id }: ForgeRef, entries: [string, ForgeRole][]) {
  await transaction
    .insertInto("forge_roles")
    .values(entries.map(([accountId, role]) => ({ forge, repository_id: id, account_id: accountId, role })))
    .onConflict((conflict) =>
      conflict
        .columns(["forge", "repository_id", "account_id"])
        .doUpdateSet((row) => ({ role: row.ref("excluded.role"), verified_at: null, source: null })),
    )
    .execute();
}

export async function findRoles(database: Kysely<Tables>, { forge, id }: ForgeRef): Promise<RoleFact[]> {
  return (await selectRoles(database, forge, [id])).get(id) ?? [];
}

/** Reads all roles, some repositories at a time. */
export async function* readRoles(database: Kysely<Tables>): AsyncGenerator<RolesOf> {
  const counted = await database
    .selectFrom("forge_roles")
    .select(({ fn }) => ["forge", "repository_id as id", fn.countAll<number>().as("count")])
    .groupBy(["forge", "repository_id"])
    .orderBy("forge")
    .execute();
  for (const some of batches(counted)) {
    const [{ forge }] = some;
    const found = await selectRoles(
      database,
      forge,
      some.map(({ id }) => id),
    );
    for (const [id, roles] of found) yield { repository: { forge, id }, roles };
  }
}

interface Counted extends ForgeRef {
  readonly count: number;
}

/** Cuts a list that is sorted by forge into parts of one forge each. */
function* batches(counted: readonly Counted[]): Iterable<[Counted, ...Counted[]]> {
  let batch: [Counted, ...Counted[]] | undefined;
  let count = 0;
  for (const one of counted) {
    const isFull = count + one.count > ROLES_AT_ONCE || batch?.length === ROWS_AT_ONCE;
    if (batch !== undefined && !isFull && batch[0].forge === one.forge) {
      batch.push(one);
      count += one.count;
    } else {
      if (batch !== undefined) yield batch;
      batch = [one];
      count = one.count;
    }
  }
  if (batch !== undefined) yield batch;
}

/** Roles by the id of their repository. */
async function selectRoles(
  database: Kysely<Tables>,
  forge: string,
  repositoryIds: readonly string[],
): Promise<Map<string, RoleFact[]>> {
  const rows = await database
    .selectFrom("forge_roles as one")
    .leftJoin("forge_role_lists as list", (join) =>
      join.onRef("list.forge", "=", "one.forge").onRef("list.repository_id", "=", "one.repository_id"),
    )
    .select(["one.repository_id as repositoryId", "one.account_id as accountId", "one.role"])
    .select(sql<number>`coalesce(one.verified_at, list.verified_at)`.as("verifiedAt"))
    .select(sql<string>`coalesce(one.source, list.source)`.as("source"))
    .where("one.forge", "=", forge)
    .where("one.repository_id", "in", repositoryIds)
    .execute();
  const byRepository = new Map<string, RoleFact[]>();
  for (const { repositoryId, ...fact } of rows) {
    const facts = byRepository.get(repositoryId);
    if (facts === undefined) byRepository.set(repositoryId, [fact]);
    else facts.push(fact);
  }
  return byRepository;
}

function findList(transaction: Transaction<Tables>, { forge, id }: ForgeRef) {
  return transaction
    .selectFrom("forge_role_lists")
    .select("verified_at")
    .where("forge", "=", forge)
    .where("repository_id", "=", id)
    .executeTakeFirst();
}

function lockOf({ forge, id }: ForgeRef): string {
  return `roles ${forge} ${id}`;
}

function* chunks<Item>(items: readonly Item[]): Iterable<Item[]> {
  for (let from = 0; from < items.length; from += ROWS_AT_ONCE) yield items.slice(from, from + ROWS_AT_ONCE);
}
