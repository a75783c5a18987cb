/**
 * Runs one suite on both databases: SQLite in a temporary file, and a PostgreSQL server of the suite's own.
 *
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe } from "vitest";
import { makeClock } from "../../src/base/clock.ts";
import { makeLog } from "../../src/base/log.ts";
import type { StoreOptions } from "../../src/store/store-options.ts";
import { openStore, type Store, type StoreTarget } from "../../src/store/store.ts";
import { openTestPostgres, type TestPostgres, whyNoPostgres } from "./postgres.ts";

/** What a test of the suite has: an empty database. */
export interface Given {
  readonly target: StoreTarget;
  /** Opens a store on it, as one process would, that is closed after the test. SQLite takes one at a time. */
  open(options?: Partial<StoreOptions>): Promise<Store>;
  /** The server; only in the suite of `describePostgres`. */
  readonly postgres: TestPostgres;
}

/** Declares the suite once for each database. `given` has its values while a test or its hooks run. */
export function describeStores(suite: (given: Given) => void): void {
  describe("on SQLite", () => {
    let folder: string;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), "slipway-store-"));
    });
    afterEach(() => rm(folder, { recursive: true }));
    suite(
      giveStores(
        () => ({ type: "sqlite", path: join(folder, "slipway.db") }),
        () => undefined,
      ),
    );
  });
  describePostgres(suite);
}

/** Declares a suite for PostgreSQL alone. Where there is none, it is skipped and says why. */
export function describePostgres(suite: (given: Given) => void): void {
  const why = whyNoPostgres();
  describe("on PostgreSQL", () => {
    let postgres: TestPostgres | undefined;
    let url = "";
    beforeAll(async () => {
      if (why === undefined) postgres = await openTestPostgres();
    });
    afterAll(() => postgres?.[Symbol.asyncDispose]());
    beforeEach(async (context) => {
      if (postgres === undefined) context.skip(why);
      else url = await postgres.url();
    });
    suite(
      giveStores(
        () => ({ type: "postgres", url }),
        () => postgres,
      ),
    );
  });
}

function giveStores(target: () => StoreTarget, postgres: () => TestPostgres | undefined): Given {
  const opened: Store[] = [];
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
  });
  return {
    get target() {
      return target();
    },
    get postgres() {
      const server = postgres();
      if (server === undefined) throw new Error("Cannot use a server: this suite is on SQLite");
      return server;
    },
    open: async (options = {}) => {
      const store = await openStore(target(), { clock: makeClock(), log: makeLog("silent"), ...options });
      opened.push(store);
      return store;
    },
  };
}
