/**
 * PostgreSQL, which several processes may share: the locks are advisory ones of the database, and what one process
 * writes the others are told by NOTIFY.
 *
 * Called by `store.ts`. Between us and the server there may be a pooler only if it keeps a session to one connection:
 * LISTEN and the lock that migrations are made under need that.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { Kysely, sql } from "kysely";
import { type ClientConfig, TypeOverrides, types } from "pg";
import { Fault } from "../base/fault.ts";
import type { KnowledgeChange } from "../wire/knowledge.ts";
import type { Engine } from "./engine.ts";
import { makePostgresDialect } from "./postgres-dialect.ts";
import { openListener } from "./postgres-listener.ts";
import type { Tables } from "./schema.ts";
import type { StoreOptions } from "./store-options.ts";

/** A connection has this long to be made, and a query to be answered. */
const CONNECT_MS = 5_000;
const ANSWER_MS = 10_000;

const CHANNEL = "slipway_knowledge";

/**
 * Reaches the database at `url` and begins to hear what others write.
 *
 * @throws {Fault} `state.unreached` when it does not answer, `settings.invalid` when `url` is none, `state.locked`
 */
export async function openPostgres(url: string, options: StoreOptions): Promise<Engine> {
  const name = nameOf(url);
  const config = configOf(url);
  const self = randomUUID();
  const listeners = new Set<(change: KnowledgeChange) => void>();
  const emit = (change: KnowledgeChange): void => {
    for (const listener of listeners) listener(change);
  };
  const endListening = await openListener({
    ...options, // `lockMs` and `onLost` among them
    ...{ name, config, channel: CHANNEL },
    ...(options.isAlone === true ? { lock: `installation ${options.installation}` } : {}),
    onTold: (text) => {
      const told = readTold(text);
      if (told.from !== self) emit(told.change);
    },
    onGap: () => {
      emit({ type: "everything" });
    },
  });
  const kysely = new Kysely<Tables>({ dialect: makePostgresDialect({ ...options, name, config }) });
  let closed: Promise<void> | undefined;
  return {
    name,
    kysely,
    now: sql<number>`cast(extract(epoch from clock_timestamp()) * 1000 as bigint)`,
    skipLocked: sql`for update skip locked`,
    exclusively: (lock, work) =>
      kysely.transaction().execute(async (transaction) => {
        await sql`select pg_advisory_xact_lock(hashtextextended(${`slipway ${lock}`}, 0))`.execute(transaction);
        return work(transaction);
      }),
    tell: async (transaction, change) => {
      await sql`select pg_notify(${CHANNEL}, ${JSON.stringify({ from: self, ...change })})`.execute(transaction);
    },
    onTold: (listener) => {
      const own = (change: KnowledgeChange): void => listener(change); // one function may listen twice
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    close: () => (closed ??= Promise.all([endListening(), kysely.destroy()]).then(() => undefined)),
  };
}

/** Host and database, without user and password. */
function nameOf(url: string): string {
  if (!URL.canParse(url)) {
    throw new Fault("settings.invalid", "Cannot read the address of the database: it is no URL, needs postgres://…");
  }
  const { host, pathname, searchParams } = new URL(url);
  return `postgres://${searchParams.get("host") ?? host}${pathname}`;
}

function configOf(url: string): ClientConfig {
  return {
    connectionString: url,
    application_name: "slipway",
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: ANSWER_MS,
    statement_timeout: ANSWER_MS,
    // A process that hangs between two statements would otherwise keep what it has locked.
    idle_in_transaction_session_timeout: ANSWER_MS,
    keepAlive: true,
    types: numbersForBigints(),
  };
}

/** All our bigints are times and counts, which a number holds exactly. */
function numbersForBigints(): TypeOverrides {
  const overrides = new TypeOverrides();
  overrides.setTypeParser(types.builtins.INT8, (text) => {
    const number = Number(text);
    if (Number.isSafeInteger(number)) return number;
    throw new RangeError(`Cannot read ${text} as a number: it is too large`);
  });
  return overrides;
}

/** What is not of the shape that we write comes from another version of us: whatever it says, something changed. */
function readTold(text: string): { from: unknown; change: KnowledgeChange } {
  const { from, type, forge, id } = parse(text);
  if (typeof forge !== "string" || typeof id !== "string") return { from, change: { type: "everything" } };
  const isKnown = type === "account" || type === "repository" || type === "roles" || type === "hint";
  return { from, change: isKnown ? { type, forge, id } : { type: "everything" } };
}

type Told = Readonly<Partial<Record<"from" | "type" | "forge" | "id", unknown>>>;

function parse(text: string): Told {
  try {
    const told: unknown = JSON.parse(text);
    return typeof told === "object" && told !== null ? told : {};
  } catch {
    return {};
  }
}
