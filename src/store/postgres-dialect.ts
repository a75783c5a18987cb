/**
 * Kysely on `pg`, as `sqlite-dialect.ts` is on `node:sqlite`. Kysely's own driver would do, but for connections that are
 * lost: here what was asked on one rejects with the fault `state.unreached`, it is never used again, and the process
 * lives on.
 *
 * Used by `open-postgres.ts` alone.
 *
 * @module
 */
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from "kysely";
import { type ClientConfig, Pool, type PoolClient } from "pg";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { translateLoss } from "./postgres-faults.ts";

/** Connections at most (guess): each is a process at the server, and an answer takes about a millisecond. */
const CONNECTION_COUNT = 10;

/** How long connections get to be taken down in an orderly way. */
const CLOSE_MS = 1_000;

export interface PostgresOptions {
  /** The database, for logs. */
  readonly name: string;
  readonly config: ClientConfig;
  readonly clock: Clock;
  readonly log: Log;
}

/** Makes a dialect that connects when it is asked something. */
export function makePostgresDialect(options: PostgresOptions): Dialect {
  return {
    createDriver: () => new PostgresDriver(options),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createAdapter: () => new PostgresAdapter(),
    createIntrospector: (kysely) => new PostgresIntrospector(kysely),
  };
}

class PostgresDriver implements Driver {
  readonly #options: PostgresOptions;
  readonly #pool: Pool;
  readonly #clients = new Set<PoolClient>();

  constructor(options: PostgresOptions) {
    const { config, name, log } = options;
    this.#options = options;
    this.#pool = new Pool({ ...config, max: CONNECTION_COUNT });
    this.#pool.on("connect", (client) => this.#clients.add(client));
    this.#pool.on("remove", (client) => this.#clients.delete(client));
    // Of a connection that nobody was using. Whoever asks next gets another.
    this.#pool.on("error", (error: Error) => {
      log.warn("store.connection-lost", { database: name, why: error.message });
    });
  }

  async init(): Promise<void> {
    // The pool connects when somebody asks.
  }

  async acquireConnection(): Promise<PostgresConnection> {
    const { name } = this.#options;
    try {
      return new PostgresConnection(await this.#pool.connect(), name);
    } catch (error) {
      throw translateLoss(error, name);
    }
  }

  async beginTransaction(connection: PostgresConnection): Promise<void> {
    await connection.say("begin");
  }

  async commitTransaction(connection: PostgresConnection): Promise<void> {
    const done = await connection.say("commit");
    // What COMMIT answers when a statement before it had failed: postgresql.org/docs/current/sql-commit.html.
    if (done === "ROLLBACK") throw new Error("Cannot commit: an earlier statement of the transaction failed");
  }

  async rollbackTransaction(connection: PostgresConnection): Promise<void> {
    await connection.say("rollback");
  }

  async releaseConnection(connection: PostgresConnection): Promise<void> {
    connection.release();
  }

  async destroy(): Promise<void> {
    const cutLater = this.#options.clock.after(CLOSE_MS, () => {
      for (const client of this.#clients) client.connection.stream.destroy();
    });
    await this.#pool.end();
    cutLater();
  }
}

/** One connection while somebody has it. */
class PostgresConnection implements DatabaseConnection {
  readonly #client: PoolClient;
  readonly #name: string;
  /** Set once; the connection is then closed instead of given back. */
  #lost: unknown;

  constructor(client: PoolClient, name: string) {
    this.#client = client;
    this.#name = name;
    client.on("error", this.#lose); // without a listener Node throws it at the process
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    const { command, rowCount, rows } = await this.#ask(sql, [...parameters]);
    // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- Kysely's types say what the row is
    const result = { rows: rows as Row[] };
    return command === "SELECT" ? result : { ...result, numAffectedRows: BigInt(rowCount ?? 0) };
  }

  streamQuery(): never {
    throw new Error("Cannot stream a query: the PostgreSQL dialect has no use for it");
  }

  /** Runs a statement and returns what the server says was done. */
  async say(sql: string): Promise<string> {
    return (await this.#ask(sql, [])).command;
  }

  release(): void {
    this.#client.removeListener("error", this.#lose);
    this.#client.release(this.#lost !== undefined);
  }

  async #ask(sql: string, parameters: unknown[]) {
    if (this.#lost !== undefined) throw translateLoss(this.#lost, this.#name);
    try {
      return await this.#client.query<Record<string, unknown>>(sql, parameters);
    } catch (error) {
      const translated = translateLoss(error, this.#name);
      if (translated instanceof Fault) this.#lose(error);
      throw translated;
    }
  }

  readonly #lose = (error: unknown): void => {
    this.#lost ??= error;
  };
}
