import { type Kysely, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { expect, test } from "vitest";
import { describeStores, type Given } from "../../test/harness/each-store.ts";
import { makeClock } from "../base/clock.ts";
import { makeLog } from "../base/log.ts";
import type { Engine } from "./engine.ts";
import { migrationProvider } from "./migrations.ts";
import { openPostgres } from "./open-postgres.ts";
import { openSqlite } from "./open-sqlite.ts";

async function openEngine({ target }: Given): Promise<Engine & AsyncDisposable> {
  const options = { clock: makeClock(), log: makeLog("silent") };
  const engine =
    target.type === "sqlite" ? openSqlite(target.path, options.clock) : await openPostgres(target.url, options);
  return { ...engine, [Symbol.asyncDispose]: () => engine.close() };
}

/** Brings a database to where a release of the past left it, or to where one of the future fails. */
async function migrate({ kysely }: Engine, migrations: Record<string, Migration>): Promise<unknown> {
  const provider = { getMigrations: async () => migrations };
  return (await new Migrator({ db: kysely, provider }).migrateToLatest()).error;
}

/** What a release that knew the first migration alone wrote. */
const OLD_ROWS = [
  `insert into environments values ('e1', 'ada', 'hello', 'main', 'hello-main', 'dev', 2000, 'hello-main', 'present',
    'running', null, 3, '[]', '[]', null, 5, 1700000000000)`,
  `insert into environments values ('e2', 'ada', 'hello', 'main', 'hello-main', null, 2001, 'hello-main', 'absent',
    'sleeping', 'destroying', 1, '[]', '[]', null, 5, 6)`,
  "insert into freed_uids values (2002, 7)",
];

async function writeOld(given: Given): Promise<void> {
  await using engine = await openEngine(given);
  const { "0001-environments": first } = await migrationProvider.getMigrations();
  if (first === undefined) throw new Error("Cannot set up: the first migration is gone");
  expect(await migrate(engine, { "0001-environments": first })).toBeUndefined();
  for (const row of OLD_ROWS) await sql.raw(row).execute(engine.kysely);
}

async function expectOld(given: Given): Promise<void> {
  const { environments } = await given.open();
  expect(await environments.list()).toMatchObject([
    { id: "e1", uid: 2_000, fromBranch: "dev", fence: 3, lastActiveAt: 1_700_000_000_000, repositoryName: "hello" },
    { id: "e2", uid: 2_001, desired: "absent", operation: "destroying" },
  ]);
  const next = { id: "e3", person: "ada", repository: "hello", branch: "x", login: "hello-x", fromBranch: undefined };
  const added = await environments.add(
    { ...next, hostname: "h", inventory: [] },
    { perPerson: 9, firstUid: 2_000, uidCount: 3 },
  );
  expect(added).toMatchObject({ outcome: "added", record: { uid: 2_002 } });
}

describeStores((given) => {
  test("migrations keep the environments and freed uids of the first release, in the installation local", async () => {
    await writeOld(given);
    await expectOld(given);
  });

  test("migrations that end half-way, as by kill -9, leave the database as it was", async () => {
    await writeOld(given);
    {
      await using engine = await openEngine(given);
      const all = await migrationProvider.getMigrations();
      const broken = async (database: Kysely<unknown>): Promise<void> => {
        await all["0003-forges"]?.up(database);
        throw new Error("Cannot go on: killed");
      };
      expect(await migrate(engine, { ...all, "0003-forges": { up: broken } })).toMatchObject({
        message: "Cannot go on: killed",
      });
      const { rows } = await sql`select * from environments where uid = 2000`.execute(engine.kysely);
      expect(rows).toHaveLength(1);
      expect(rows[0]).not.toHaveProperty("cluster");
    }
    await expectOld(given);
  });
});
