import { spawn } from "node:child_process";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeClock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Allowance, NewEnvironment } from "./environments.ts";
import { openStore } from "./store.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-store-"));
  path = join(folder, "slipway.db");
});
afterEach(() => rm(folder, { recursive: true }));

const plenty: Allowance = { perPerson: 1_000, firstUid: 1_000, uidCount: 10_000 };

function fresh(person: string, branch: string, id = `${person}${branch}`): NewEnvironment {
  const login = `hello-${branch}`;
  return { id, person, repository: "hello", branch, login, fromBranch: undefined, hostname: login, inventory: [] };
}

test("openStore() finds what was there before it was closed", async () => {
  {
    await using store = await openStore(path, makeClock());
    await store.environments.add({ ...fresh("ada", "main"), fromBranch: "dev" }, plenty);
    const { fence } = await store.environments.begin("adamain", "starting");
    await store.environments.update("adamain", fence, {
      power: "running",
      conditions: [{ type: "onCreateCommand", status: "true", message: "", at: 5 }],
      inventory: [{ type: "sandbox", id: "adamain", state: "present" }],
      definition: { path: ".devcontainer.json", text: "{}" },
    });
  }
  await using store = await openStore(path, makeClock());
  expect(await store.environments.findByLogin("ada", "hello-main")).toMatchObject({
    id: "adamain",
    fromBranch: "dev",
    uid: 1_000,
    desired: "present",
    power: "running",
    operation: "starting",
    fence: 1,
    conditions: [{ type: "onCreateCommand", status: "true", message: "", at: 5 }],
    inventory: [{ type: "sandbox", id: "adamain", state: "present" }],
    definition: { path: ".devcontainer.json", text: "{}" },
  });
});

test("openStore() makes a file that only its owner can read", async () => {
  await using store = await openStore(path, makeClock());
  await store.environments.add(fresh("ada", "main"), plenty);
  for (const name of [path, `${path}-wal`]) expect((await stat(name)).mode & 0o777).toBe(0o600);
});

test("openStore() refuses a file that another process has open, names it, and works when that one was killed", async () => {
  const holder = startWriter(path);
  await holder.line();
  const refusal = await openStore(path, makeClock()).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(Fault);
  expect(refusal).toMatchObject({ code: "state.locked", told: `the state folder is in use by process ${holder.pid}` });
  await holder.kill();
  await using store = await openStore(path, makeClock());
  expect(await store.environments.list()).not.toHaveLength(0);
});

test("openStore() refuses a file that it itself has open, and leaves the first one locked", async () => {
  await using store = await openStore(path, makeClock());
  for (let round = 0; round < 2; round++) {
    await expect(openStore(path, makeClock())).rejects.toMatchObject({
      code: "state.locked",
      told: `the state folder is in use by process ${process.pid}`,
    });
  }
  expect(await store.environments.list()).toEqual([]);
});

test("openStore() refuses a file that is no database", async () => {
  await writeFile(path, "not a database, though long enough to be read as a header of one".repeat(20));
  await expect(openStore(path, makeClock())).rejects.toMatchObject({ code: "state.damaged" });
});

test("openStore() refuses a file written by a newer version", async () => {
  await (await openStore(path, makeClock())).close();
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(path);
  database.exec("insert into kysely_migration values ('9999-later', '2030-01-01T00:00:00.000Z')");
  database.close();
  await expect(openStore(path, makeClock())).rejects.toMatchObject({ code: "state.damaged" });
});

test("a commit that was acknowledged is there after kill -9 at any moment", { timeout: 60_000 }, async () => {
  let acknowledged = 0;
  for (let round = 0; round < 8; round++) {
    const writer = startWriter(path);
    let last = Number(await writer.line());
    const until = last + 1 + round * 7;
    while (last < until) last = Number(await writer.line());
    for (const line of await writer.kill()) last = Number(line);
    acknowledged = last;
    const store = await openStore(path, makeClock());
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

/** A process that adds environments until it is killed, and prints how many it was told are safe. */
function startWriter(databasePath: string) {
  const program = `
    import { openStore } from ${JSON.stringify(new URL("./store.ts", import.meta.url).href)};
    import { makeClock } from ${JSON.stringify(new URL("../base/clock.ts", import.meta.url).href)};
    const { environments } = await openStore(${JSON.stringify(databasePath)}, makeClock());
    for (let number = (await environments.list()).length + 1; ; number++) {
      const id = "e" + number, branch = String(number);
      const allowance = { perPerson: 1e6, firstUid: 1000, uidCount: 1e6 };
      const before = await environments.find(id);
      if (before === undefined) await environments.add({ id, person: "ada", repository: "r", branch, login: "r-" + branch, fromBranch: undefined, hostname: "h", inventory: [] }, allowance);
      await environments.end(id, (await environments.begin(id, "starting")).fence, { power: "running" });
      for (const half of await environments.list()) {
        if (half.power !== "running") await environments.end(half.id, (await environments.begin(half.id, "starting")).fence, { power: "running" });
      }
      process.stdout.write(number + "\\n");
    }`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => {
    const next = await lines.next();
    if (next.done === true) throw new Error("Cannot read from the writer: it ended by itself");
    return next.value;
  };
  return {
    pid: child.pid,
    line,
    /** Kills it and returns the lines that were still in the pipe. */
    kill: async (): Promise<string[]> => {
      child.kill("SIGKILL");
      const rest: string[] = [];
      for (let next = await lines.next(); next.done !== true; next = await lines.next()) rest.push(next.value);
      return rest;
    },
  };
}
