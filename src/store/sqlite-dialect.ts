/**
 * Kysely on `node:sqlite`. Kysely's own SQLite dialect wants the shape of better-sqlite3, a native addon; this is the
 * same few lines around `DatabaseSync`, which is built into Node.
 *
 * Used by `store.ts` alone. There is one connection; Kysely serialises its users, transactions included, since the
 * adapter says that there is only one (`supportsMultipleConnections`).
 *
 * @module
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";

/** Statements kept prepared, those used last: our queries are some fifty, and the writing of long lists generates more. */
const KEPT_STATEMENTS = 100;

/** A longer one is of a list, and takes more room than preparing it takes time. */
const KEPT_STATEMENT_LENGTH = 4_000;

/** Longest row of queries (guess: a person types ten characters a second). */
const TURN_MS = 100;

/** Makes a dialect that speaks to an open database and closes it when Kysely is destroyed. */
export function makeSqliteDialect(database: DatabaseSync, clock: Clock): Dialect {
  return {
    createDriver: () => makeDriver(database, clock),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new TransactionalAdapter(),
    createIntrospector: (kysely) => new SqliteIntrospector(kysely),
  };
}

/** Kysely leaves open whether migrations run in a transaction. SQLite can: sqlite.org/lang_transaction.html. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

function makeDriver(database: DatabaseSync, clock: Clock): Driver {
  const connection = makeConnection(database);
  const untilMayRun = makeTurns(clock);
  const say = async (sql: string): Promise<void> => unlessFull(() => database.exec(sql));
  return {
    init: async () => undefined,
    acquireConnection: async () => {
      await untilMayRun();
      return connection;
    },
    // IMMEDIATE takes the write lock at once: a transaction that reads first can then not fail at its first write.
    beginTransaction: () => say("begin immediate"),
    commitTransaction: () => say("commit"),
    // A full disk rolls it back by itself (sqlite.org/lang_transaction.html, "Response To Errors Within A Transaction").
    rollbackTransaction: async () => {
      if (database.isTransaction) database.exec("rollback");
    },
    releaseConnection: async () => undefined,
    destroy: async () => {
      database.close();
    },
  };
}

/**
 * A query is done before its promise is, so one after the other they could go on for ever without a socket being read or a
 * timer ringing. This lets those in once a row of queries has lasted too long.
 */
function makeTurns(clock: Clock): () => Promise<void> {
  let begunAt: number | undefined;
  return async () => {
    if (begunAt === undefined) {
      begunAt = clock.elapsed();
      setImmediate(() => {
        begunAt = undefined;
      });
    } else if (clock.elapsed() - begunAt > TURN_MS) await new Promise((resolve) => setImmediate(resolve));
  };
}

function makeConnection(database: DatabaseSync): DatabaseConnection {
  const kept = new Map<string, StatementSync>();
  const prepare = (sql: string): StatementSync => {
    const statement = kept.get(sql) ?? database.prepare(sql);
    if (sql.length > KEPT_STATEMENT_LENGTH) return statement;
    kept.delete(sql);
    kept.set(sql, statement);
    const [oldest] = kept.keys();
    if (kept.size > KEPT_STATEMENTS && oldest !== undefined) kept.delete(oldest);
    return statement;
  };
  return {
    executeQuery: async <R>(query: CompiledQuery): Promise<QueryResult<R>> => {
      const statement = prepare(query.sql);
      const values = query.parameters.map(checkValue);
      if (statement.columns().length > 0) {
        // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- Kysely's types say what the row is
        return { rows: unlessFull(() => statement.all(...values)) as R[] };
      }
      const { changes, lastInsertRowid } = unlessFull(() => statement.run(...values));
      return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
    },
    streamQuery: () => {
      throw new Error("Cannot stream a query: the SQLite dialect has no use for it");
    },
  };
}

/** sqlite.org/rescode.html; the low byte is the primary code. */
const SQLITE_FULL = 13;

function unlessFull<Result>(act: () => Result): Result {
  try {
    return act();
  } catch (cause) {
    if (!(cause instanceof Error && "errcode" in cause && Number(cause.errcode) % 256 === SQLITE_FULL)) throw cause;
    throw new Fault("machine.full", "Cannot write to the database: the disk is full", {
      told: "the disk of this machine is full",
      cause,
    });
  }
}

function checkValue(value: unknown): SQLInputValue {
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "bigint")
    return value;
  if (value instanceof Uint8Array) return value;
  throw new Error(`Cannot bind a ${typeof value}: SQLite takes null, strings, numbers and bytes`);
}
