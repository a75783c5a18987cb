/**
 * A PostgreSQL server for tests: Debian's, in a temporary folder, as an unprivileged user, on a socket and a port of the
 * loopback.
 *
 * It outlives no test: a shell beside it waits for the end of its own standard input, which comes when the server is
 * closed and also when the process that opened it dies, and then stops it and removes its folder.
 *
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { freePort } from "./free-port.ts";
import { mustRun } from "./program.ts";
import { until } from "./wait.ts";

export interface TestPostgres extends AsyncDisposable {
  readonly port: number;
  /** The folder of the Unix socket, for `?host=`. */
  readonly folder: string;
  /** Makes an empty database and returns its address, for the superuser: `postgres://slipway@127.0.0.1:…/test1`. */
  url(): Promise<string>;
  /** Runs one statement as superuser, in `url` or in no database of the tests, and returns its rows. */
  query(sql: string, url?: string): Promise<Record<string, unknown>[]>;
  /** Stops the server at once, as a crash would: connections are cut, what was acknowledged is kept. */
  stop(): Promise<void>;
  /** Starts it again on the same port. */
  start(): Promise<void>;
}

const PROGRAMS = "/usr/lib/postgresql";
const SUPERUSER = "slipway";

/** Says why no server can be started here, or `undefined` when one can. */
export function whyNoPostgres(): string | undefined {
  if (programs() === undefined) return "this machine lacks PostgreSQL (Debian: postgresql)";
  if (process.getuid?.() !== 0) return undefined;
  const isThere = spawnSync("id", ["postgres"]).status === 0;
  return isThere ? undefined : 'PostgreSQL does not run as root, and there is no user "postgres"';
}

/** The folder of the newest version's programs. */
function programs(): string | undefined {
  if (!existsSync(PROGRAMS)) return undefined;
  const versions = readdirSync(PROGRAMS).sort((one, other) => Number(other) - Number(one));
  return versions.map((version) => join(PROGRAMS, version, "bin")).find((bin) => existsSync(join(bin, "postgres")));
}

/** Starts a server with no database of the tests in it. @throws {Error} where `whyNoPostgres` says why */
export async function openTestPostgres(): Promise<TestPostgres> {
  const bin = programs();
  if (bin === undefined) throw new Error(`Cannot start a server: ${whyNoPostgres()}`);
  const folder = mkdtempSync(join(tmpdir(), "slipway-pg-"));
  const unprivileged = await giveAway(folder);
  const data = join(folder, "data");
  const port = await freePort();
  const initdb = ["--no-sync", "--auth=trust", `--username=${SUPERUSER}`, "--encoding=UTF8", "--locale=C.UTF-8"];
  try {
    await mustRun([...unprivileged, join(bin, "initdb"), ...initdb, data], { cwd: folder });
  } catch (error) {
    rmSync(folder, { recursive: true });
    throw error;
  }
  const serverWords = [...unprivileged, join(bin, "postgres"), "-D", data, ...settingsOf(folder, port)];
  const urlOf = (name: string): string => `postgres://${SUPERUSER}@127.0.0.1:${port}/${name}`;
  const answers = (): Promise<boolean> => query(urlOf("postgres"), "select 1").then(Boolean, () => false);
  let server = await startServer(folder, serverWords, answers);
  let databaseCount = 0;
  return {
    port,
    folder,
    url: async () => {
      const name = `test${++databaseCount}`;
      await query(urlOf("postgres"), `create database ${name}`);
      return urlOf(name);
    },
    query: (sql, url = urlOf("postgres")) => query(url, sql),
    stop: () => server.end("keep"),
    start: async () => {
      server = await startServer(folder, serverWords, answers);
    },
    [Symbol.asyncDispose]: () => server.end("remove"),
  };
}

/** Hands `folder` to the user that the server is to run as. @returns the words that run a program as that user */
async function giveAway(folder: string): Promise<string[]> {
  if (process.getuid?.() !== 0) return [];
  await mustRun(["chown", "postgres:postgres", folder]);
  return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"];
}

function settingsOf(folder: string, port: number): string[] {
  const settings = {
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: folder,
    // Only a machine that stops would show it, and no test stops one: what a killed server has written is with the kernel.
    fsync: "off",
    shared_buffers: "16MB",
    max_connections: 200,
    log_destination: "stderr",
    logging_collector: "off",
  };
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

interface Server {
  /** Stops it, and removes its folder or keeps that for another start. Idempotent. */
  end(folder: "keep" | "remove"): Promise<void>;
}

/** SIGQUIT is the immediate shutdown: postgres(1). The folder goes unless the line "keep" came before the end. */
const WATCHER = `folder=$1; shift; "$@" >"$folder/log" 2>&1 & server=$!
word=; read -r word
kill -QUIT $server 2>/dev/null; wait $server
[ "$word" = keep ] || rm -rf "$folder"`;

async function startServer(folder: string, words: readonly string[], answers: () => Promise<boolean>): Promise<Server> {
  // In a process group of its own, so that Ctrl-C at a terminal reaches the tests alone, and not the one that tidies up.
  const watcher = spawn("/bin/sh", ["-c", WATCHER, "sh", folder, ...words], {
    stdio: ["pipe", "ignore", "ignore"],
    cwd: folder,
    detached: true,
  });
  const { promise: ended, resolve, reject } = Promise.withResolvers<undefined>();
  watcher.once("error", reject);
  watcher.once("exit", () => resolve(undefined));
  watcher.stdin.on("error", () => undefined); // it has ended already
  await until("PostgreSQL to answer", answers, 30_000).catch((cause: unknown) => {
    const log = readFileSync(join(folder, "log"), "utf8");
    watcher.stdin.end();
    throw new Error(`Cannot start PostgreSQL: ${log.slice(-2_000)}`, { cause });
  });
  return {
    end: async (what) => {
      watcher.stdin.end(`${what}\n`);
      await ended;
      // The server was stopped for another start that never came.
      if (what === "remove") rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on("error", () => undefined); // what was asked rejects by itself
  try {
    await client.connect();
    const { rows } = await client.query<Record<string, unknown>>(sql);
    return rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}
