/**
 * What differs between the databases that a store can be in. Everything else is said once, in the SQL that both speak.
 *
 * `open-sqlite.ts` and `open-postgres.ts` make one each; the queries use it.
 *
 * @module
 */
import type { Kysely, RawBuilder, Transaction } from "kysely";
import type { KnowledgeChange } from "../wire/knowledge.ts";
import type { Tables } from "./schema.ts";

export interface Engine {
  /** For logs: a path or an address, without a password. */
  readonly name: string;
  readonly kysely: Kysely<Tables>;
  /** Epoch ms by the database's clock, as an expression. */
  readonly now: RawBuilder<number>;
  /** What comes behind a select of rows to be claimed, so that two who claim at once do not wait for the same one. */
  readonly skipLocked: RawBuilder<unknown>;
  /** Runs `work` as one transaction. Of those with the same `lock` one runs at a time, whichever process began it. */
  exclusively<Result>(lock: string, work: (transaction: Transaction<Tables>) => Promise<Result>): Promise<Result>;
  /** Tells the other processes, if and when the transaction commits. */
  tell(transaction: Transaction<Tables>, change: KnowledgeChange): Promise<void>;
  /** Calls back for each change that another process told. The listener must not throw. @returns a function that stops it */
  onTold(listener: (change: KnowledgeChange) => void): () => void;
  /** Idempotent. */
  close(): Promise<void>;
}
