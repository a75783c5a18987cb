/**
 * SQLite in one file, for one process.
 *
 * Called by `store.ts`. Every commit is on disk before its promise resolves (WAL, synchronous FULL); a process that is
 * killed at any instant loses nothing that was acknowledged. A second process is kept out by an exclusive lock that the
 * kernel drops when the first one ends, however it ends.
 *
 * @module
 */
import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { Kysely, sql } from "kysely";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Engine } from "./engine.ts";
import type { Tables } from "./schema.ts";
import { makeSqliteDialect } from "./sqlite-dialect.ts";

/**
 * Opens the file at `path` and makes it when absent. Its folder must exist.
 *
 * @throws {Fault} `state.locked` when another process has it open, `state.damaged` when it cannot be used
 */
export function openSqlite(path: string, clock: Clock): Engine {
  const kysely = new Kysely<Tables>({ dialect: makeSqliteDialect(openDatabase(path), clock) });
  let closed: Promise<void> | undefined;
  return {
    name: path,
    kysely,
    now: sql<number>`cast(unixepoch('subsec') * 1000 as integer)`,
    skipLocked: sql``, // there is one writer at a time
    // A transaction has the whole file to itself from its beginning.
    exclusively: (_lock, work) => kysely.transaction().execute(work),
    tell: async () => undefined,
    onTold: () => () => undefined,
    close: () => (closed ??= kysely.destroy()),
  };
}

function openDatabase(path: string): DatabaseSync {
  makeFile(path);
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // The order matters: with EXCLUSIVE set before the first access in WAL mode there is no shared-memory file, and the
    // lock is taken by the first access and kept (sqlite.org/wal.html, "Use of WAL Without Shared-Memory").
    database.exec("pragma locking_mode = exclusive");
    database.exec("pragma journal_mode = wal");
    database.exec("pragma synchronous = full");
    database.exec("begin exclusive; commit");
    const verdict = database.prepare("pragma quick_check(1)").get()?.["quick_check"];
    if (verdict !== "ok") throw new Fault("state.damaged", `Cannot use "${path}": ${String(verdict)}`);
    return database;
  } catch (error) {
    database.close();
    throw translate(error, path);
  }
}

/**
 * Makes an empty database file that only we can read; SQLite gives its -wal the same mode. One that exists is never opened
 * here: closing any descriptor of a file drops the locks that this process has on it (fcntl(2), "Record locking").
 */
function makeFile(path: string): void {
  try {
    closeSync(openSync(path, "ax", 0o600));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

/** Result codes of SQLite: sqlite.org/rescode.html. The low byte is the primary one. */
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

function translate(cause: unknown, path: string): unknown {
  if (!(cause instanceof Error) || !("errcode" in cause) || typeof cause.errcode !== "number") return cause;
  const code = cause.errcode & 0xff;
  if (code === SQLITE_BUSY || code === SQLITE_LOCKED) {
    const holder = findHolder(path);
    const who = holder === undefined ? "another process" : `process ${holder}`;
    return new Fault("state.locked", `Cannot open "${path}": ${who} has it open`, {
      told: `the state folder is in use by ${who}`,
      cause,
    });
  }
  if (code === SQLITE_CORRUPT || code === SQLITE_NOTADB) {
    return new Fault("state.damaged", `Cannot open "${path}": ${cause.message}`, { cause });
  }
  return cause;
}

/** The process that holds a lock on a file, from the kernel's table of locks: `1: POSIX ADVISORY WRITE <pid> <dev>:<inode> …`. */
function findHolder(path: string): number | undefined {
  try {
    const inode = statSync(path).ino;
    for (const line of readFileSync("/proc/locks", "utf8").split("\n")) {
      const match = /^\d+: POSIX +\w+ +WRITE +(\d+) +\S+:(\d+) /.exec(line);
      if (match !== null && Number(match[2]) === inode && Number(match[1]) > 0) return Number(match[1]);
    }
  } catch {
    // Not Linux, or /proc is hidden: the sentence does without the number.
  }
  return undefined;
}
