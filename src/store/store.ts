/**
 * The database of one Slipway: SQLite in a file of the state folder, or PostgreSQL, which several processes may share.
 *
 * Opened by `src/cmd`. A write is durable when its promise resolves.
 *
 * @module
 */
import { Migrator } from "kysely/migration";
import { Fault } from "../base/fault.ts";
import { makeAnswerQueries } from "./answers.ts";
import type { Engine } from "./engine.ts";
import type { AnswerCache, KnowledgeStore } from "../wire/knowledge.ts";
import { type Environments, makeEnvironmentQueries } from "./environments.ts";
import { makeKnowledgeQueries } from "./knowledge.ts";
import { migrationProvider } from "./migrations.ts";
import { makePoolQueries, type PoolMembers } from "./pools.ts";
import { openSqlite } from "./open-sqlite.ts";
import type { StoreOptions } from "./store-options.ts";

export type StoreTarget =
  | { readonly type: "sqlite"; readonly path: string }
  /** `postgres://user@host:port/database`, as libpq reads it. It may have a password in it, so it is never logged. */
  | { readonly type: "postgres"; readonly url: string };

export interface Store extends AsyncDisposable {
  /** Those of this service's installation. */
  readonly environments: Environments;
  /** Those of this service's installation. */
  readonly pools: PoolMembers;
  readonly knowledge: KnowledgeStore;
  /** Answers of one forge, kept for conditional requests. */
  answersOf(forge: string): AnswerCache;
  /** Lets go of the database. Queries after it fail. Idempotent. */
  close(): Promise<void>;
}

/**
 * Opens the database and brings its tables up to date; processes that do so at once wait for one another.
 *
 * On PostgreSQL every query rejects with the fault `state.unreached` while the database does not answer; the next one
 * tries again.
 *
 * @throws {Fault} `state.locked` when another process has the file, or the installation, `state.damaged` when the database cannot be
 * used, `state.unreached` when it does not answer
 */
export async function openStore(target: StoreTarget, options: StoreOptions): Promise<Store> {
  const { clock, installation = "local" } = options;
  // Loaded where it is asked for: the client is a tenth of what a service without it loads.
  const engine =
    target.type === "sqlite"
      ? openSqlite(target.path, clock)
      : await (await import("./open-postgres.ts")).openPostgres(target.url, options);
  try {
    await migrate(engine);
  } catch (error) {
    await engine.close();
    throw error;
  }
  return {
    environments: makeEnvironmentQueries(engine, clock, installation),
    pools: makePoolQueries(engine, clock, installation),
    knowledge: makeKnowledgeQueries(engine),
    answersOf: (forge) => makeAnswerQueries(engine.kysely, forge),
    close: () => engine.close(),
    [Symbol.asyncDispose]: () => engine.close(),
  };
}

async function migrate({ kysely, name }: Engine): Promise<void> {
  const { error } = await new Migrator({ db: kysely, provider: migrationProvider }).migrateToLatest();
  if (error === undefined) return;
  if (error instanceof Fault) throw error;
  throw new Fault("state.damaged", `Cannot use "${name}": its tables cannot be brought up to date`, { cause: error });
}
