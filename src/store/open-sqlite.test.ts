import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeClock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import { makeLog } from "../base/log.ts";
import type { Allowance, NewEnvironment } from "./environments.ts";
import { openStore, type Store } from "./store.ts";
import { startWriter } from "../../test/harness/store-writer.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-store-"));
  path = join(folder, "slipway.db");
});
afterEach(() => rm(folder, { recursive: true }));

function open(): Promise<Store> {
  return openStore({ type: "sqlite", path }, { clock: makeClock(), log: makeLog("silent") });
}

const plenty: Allowance = { perPerson: 1_000, firstUid: 1_000, uidCount: 10_000 };

function fresh(person: string, branch: string, id = `${person}${branch}`): NewEnvironment {
  const login = `hello-${branch}`;
  return { id, person, repository: "hello", branch, login, fromBranch: undefined, hostname: login, inventory: [] };
}

test("openStore() makes a file that only its owner can read", async () => {
  await using store = await open();
  await store.environments.add(fresh("ada", "main"), plenty);
  for (const name of [path, `${path}-wal`]) expect((await stat(name)).mode & 0o777).toBe(0o600);
});

test("openStore() refuses a file that another process has open, names it, and works when that one was killed", async () => {
  const holder = startWriter({ type: "sqlite", path });
  await holder.line();
  const refusal = await open().catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(Fault);
  expect(refusal).toMatchObject({ code: "state.locked", told: `the state folder is in use by process ${holder.pid}` });
  await holder.kill();
  await using store = await open();
  expect(await store.environments.list()).not.toHaveLength(0);
});

test("openStore() refuses a file that it itself has open, and leaves the first one locked", async () => {
  await using store = await open();
  for (let round = 0; round < 2; round++) {
    await expect(open()).rejects.toMatchObject({
      code: "state.locked",
      told: `the state folder is in use by process ${process.pid}`,
    });
  }
  expect(await store.environments.list()).toEqual([]);
});

test("openStore() refuses a file that is no database", async () => {
  await writeFile(path, "not a database, though long enough to be read as a header of one".repeat(20));
  await expect(open()).rejects.toMatchObject({ code: "state.damaged" });
});

test("openStore() refuses a file written by a newer version", async () => {
  await (await open()).close();
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(path);
  database.exec("insert into kysely_migration values ('9999-later', '2030-01-01T00:00:00.000Z')");
  database.close();
  await expect(open()).rejects.toMatchObject({ code: "state.damaged" });
});

test("a commit that was acknowledged is there after kill -9 at any moment", { timeout: 60_000 }, async () => {
  let acknowledged = 0;
  for (let round = 0; round < 8; round++) {
    const writer = startWriter({ type: "sqlite", path });
    let last = Number(await writer.line());
    const until = last + 1 + round * 7;
    while (last < until) last = Number(await writer.line());
    for (const line of await writer.kill()) last = Number(line);
    acknowledged = last;
    const store = await open();
    const found = await store.environments.list();
    expect(found.length).toBeGreaterThanOrEqual(acknowledged);
    // Each is added, then begun and ended: the one in flight may be half-way, all acknowledged ones are whole.
    const numbers = found.filter((record) => record.power === "running").map((record) => Number(record.branch));
    expect(new Set(numbers).size).toBe(numbers.length);
    for (let number = 1; number <= acknowledged; number++) expect(numbers).toContain(number);
    await store.close();
  }
  expect(acknowledged).toBeGreaterThan(8);
});

test("a long row of queries keeps no timer waiting for long", async () => {
  await using store = await open();
  let rang = 0;
  const timer = setInterval(() => (rang += 1), 1);
  const begunAt = performance.now();
  while (performance.now() - begunAt < 1_000) await store.environments.list();
  clearInterval(timer);
  expect(rang).toBeGreaterThanOrEqual(4);
});
