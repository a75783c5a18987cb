import { expect, test } from "vitest";
import { describePostgres } from "../../test/harness/each-store.ts";
import { until } from "../../test/harness/wait.ts";
import { makeClock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import { makeLog } from "../base/log.ts";
import type { RepositoryFacts } from "../wire/forge.ts";
import type { KnowledgeChange } from "../wire/knowledge.ts";
import { openStore, type Store } from "./store.ts";

const shop: RepositoryFacts = {
  ...{ forge: "github", id: "9", owner: "acme", name: "shop", cloneUrl: "https://github.com/acme/shop.git" },
  ...{ isPrivate: true, state: "connected", stateVerifiedAt: 1_000, rolesVerifiedAt: undefined },
};
const ref = { forge: "github", id: "9" };
const options = { clock: makeClock(), log: makeLog("silent") };

/** What a store hears, with the time of each. */
function hear(store: Store): { change: KnowledgeChange; at: number }[] {
  const heard: { change: KnowledgeChange; at: number }[] = [];
  store.knowledge.onChanged((change) => heard.push({ change, at: performance.now() }));
  return heard;
}

describePostgres((given) => {
  /** Ids of the server's processes that serve connections which listen. */
  const listeningPids = async (): Promise<number[]> => {
    const sql = `select pid from pg_stat_activity where application_name = 'slipway' and datname = current_database()
      and query in ('listen slipway_knowledge', 'select 1')`;
    const { target } = given;
    if (target.type !== "postgres") throw new Error("Cannot look: needs PostgreSQL");
    return (await given.postgres.query(sql, target.url)).map(({ pid }) => Number(pid));
  };

  test("onChanged() calls back in the other process within 500 ms of each save, and in the own one never", async () => {
    const [one, other] = [await given.open(), await given.open()];
    const [ownHeard, heard] = [hear(one), hear(other)];
    const saves = [
      () => one.knowledge.saveRepository(shop),
      () => one.knowledge.saveRoles(shop, { verifiedAt: 2_000, source: "GET /list", roles: [] }),
      () => one.knowledge.saveRole(shop, { accountId: "7", role: "none", verifiedAt: 3_000, source: "GET /one" }),
      () =>
        one.knowledge.saveAccount({
          ...{ ...ref, login: "ada", fullName: "ada", email: "", state: "gone", stateVerifiedAt: 1 },
          ...{ keys: [], keysVerifiedAt: undefined },
        }),
    ];
    const lateMs: number[] = [];
    for (const [index, save] of saves.entries()) {
      const begunAt = performance.now();
      await save();
      await until("the other store to hear it", () => heard.length > index);
      lateMs.push((heard[index]?.at ?? Infinity) - begunAt);
    }
    expect(heard.map(({ change }) => change.type)).toEqual(["repository", "roles", "roles", "account"]);
    expect(heard.every(({ change }) => change.type !== "everything" && change.id === "9")).toBe(true);
    expect(Math.max(...lateMs)).toBeLessThan(500);
    expect(ownHeard).toEqual([]);
  });

  // Two services on one copied state folder took away what the other was making, and undid its removals.
  test("openStore() is refused while another process is the same installation, however often that connects anew", async () => {
    const alone = { installation: "x1", isAlone: true, lockMs: 1_000 };
    const one = await given.open(alone);
    const message = expect.stringContaining("another process on this state folder, or on a copy of it") as string;
    await expect(given.open(alone)).rejects.toMatchObject({ code: "state.locked", message });
    const heard = hear(one);
    for (const pid of await listeningPids()) await given.postgres.query(`select pg_terminate_backend(${pid})`);
    await until("the store to hear again", () => heard.length > 0, 2_000);
    await expect(given.open(alone)).rejects.toMatchObject({ code: "state.locked" });
    await given.open({ installation: "x2", isAlone: true });
    await one.close();
    await given.open(alone);
  }, 60_000);

  test("openStore() says so when another process took its place while it was not connected", async () => {
    const lost: string[] = [];
    const alone = { installation: "x3", isAlone: true, lockMs: 3_000 };
    await given.open({ ...alone, onLost: (fault) => lost.push(fault.code) });
    const pids = await until("it to listen", async () => (await listeningPids()).length > 0 && listeningPids());
    const taking = given.open({ ...alone, lockMs: 10_000 });
    await until("the other to wait", async () => {
      const sql = "select 1 from pg_stat_activity where query like 'select pg_try_advisory_lock%'";
      return (await given.postgres.query(sql)).length > 0;
    });
    for (const pid of pids) await given.postgres.query(`select pg_terminate_backend(${pid})`);
    await taking;
    await until("the first to hear of it", () => lost.length > 0, 30_000);
    expect(lost).toEqual(["state.locked"]);
  }, 60_000);

  test("tellHint() reaches the other process, of one account or of all", async () => {
    const [one, other] = [await given.open(), await given.open()];
    const heard = hear(other);
    const hints = ["7", ""].map((id) => ({ type: "hint", forge: "github", id }) as const);
    for (const hint of hints) await one.knowledge.tellHint(hint);
    await until("the other store to hear both", () => heard.length > 1);
    expect(heard.map(({ change }) => change)).toEqual(hints);
  });

  test("onChanged() calls back for no save that changed nothing, and not after it was stopped", async () => {
    const [one, other] = [await given.open(), await given.open()];
    await other.knowledge.saveRoles(shop, { verifiedAt: 2_000, source: "GET /list", roles: [] });
    const heard: KnowledgeChange[] = [];
    const stopped: KnowledgeChange[] = [];
    other.knowledge.onChanged((change) => heard.push(change));
    other.knowledge.onChanged((change) => stopped.push(change))();
    await one.knowledge.saveRoles(shop, { verifiedAt: 1_000, source: "GET /list", roles: [] });
    await one.knowledge.saveRole(shop, { accountId: "7", role: "admin", verifiedAt: 1_000, source: "GET /one" });
    await one.knowledge.saveRepository(shop);
    await until("the other store to hear the last one", () => heard.length > 0);
    expect(heard.at(-1)).toEqual({ type: "repository", ...ref });
    expect(heard).toHaveLength(1);
    expect(stopped).toEqual([]);
  });

  test("onChanged() says that everything may have changed after its connection was cut, and then hears again", async () => {
    const [one, other] = [await given.open(), await given.open()];
    const heard = hear(other);
    for (const pid of await listeningPids()) await given.postgres.query(`select pg_terminate_backend(${pid})`);
    await until("the other store to hear again", () => heard.length > 0, 2_000);
    expect(heard.map(({ change }) => change)).toEqual([{ type: "everything" }]);
    await one.knowledge.saveRepository(shop);
    await until("the other store to hear a change", () => heard.length > 1);
    expect(heard[1]?.change).toEqual({ type: "repository", ...ref });
  });

  test("onChanged() notices within 1 s that its connection has fallen silent", async () => {
    const [one, other] = [await given.open(), await given.open()];
    const heard = hear(other);
    const frozen = await listeningPids();
    expect(frozen).toHaveLength(2);
    try {
      for (const pid of frozen) process.kill(pid, "SIGSTOP");
      const frozenAt = performance.now();
      await one.knowledge.saveRepository(shop);
      await until("the other store to hear again", () => heard.length > 0, 5_000);
      // What is left beyond the second is the new connection, on a machine with other work.
      expect((heard[0]?.at ?? Infinity) - frozenAt).toBeLessThan(1_500);
      expect(heard[0]?.change).toEqual({ type: "everything" });
      expect(await other.knowledge.findRepository(ref)).toEqual(shop);
    } finally {
      for (const pid of frozen) process.kill(pid, "SIGCONT");
    }
  });

  test("a query rejects while the server is down, and works again with what was acknowledged once it is up", async () => {
    const store = await given.open();
    const heard = hear(store);
    let savedAt = 0;
    const saving = (async (): Promise<unknown> => {
      for (let at = 1_001; ; at++) {
        try {
          await store.knowledge.saveRepository({ ...shop, stateVerifiedAt: at });
          savedAt = at;
        } catch (error) {
          return error;
        }
      }
    })();
    await until("some to be saved", () => savedAt > 1_020);
    await given.postgres.stop();
    expect(await saving).toMatchObject({ code: "state.unreached" });
    for (const ask of [
      () => store.knowledge.findRepository(ref),
      () => store.environments.list(),
      () => store.knowledge.saveRepository(shop),
      () => store.knowledge.holdLease("poll", "one", 1_000),
    ])
      await expect(ask()).rejects.toMatchObject({ code: "state.unreached" });
    await given.postgres.start();
    expect((await store.knowledge.findRepository(ref))?.stateVerifiedAt).toBeGreaterThanOrEqual(savedAt);
    await until("it to hear again", () => heard.length > 0, 10_000);
    expect(heard.map(({ change }) => change)).toEqual([{ type: "everything" }]);
  });

  test("a connection that is cut in a transaction rejects that one alone", async () => {
    const store = await given.open();
    const kept = Array.from({ length: 10 }, (_, index) => store.knowledge.holdLease(`lease${index}`, "one", 1_000));
    await Promise.all(kept);
    const cut = given.postgres.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'slipway'",
    );
    const saves = Array.from({ length: 50 }, (_, at) =>
      store.knowledge.saveRepository({ ...shop, stateVerifiedAt: at }),
    );
    const [ended] = await Promise.all([Promise.allSettled(saves), cut]);
    for (const one of ended)
      if (one.status === "rejected") expect(one.reason).toMatchObject({ code: "state.unreached" });
    await store.knowledge.saveRepository({ ...shop, stateVerifiedAt: 99 });
    expect((await store.knowledge.findRepository(ref))?.stateVerifiedAt).toBe(99);
  });

  test("openStore() says that a server or a database is not there, without the password", async () => {
    const nowhere = "postgres://ada:geheim@127.0.0.1:1/nothing";
    const absent = `postgres://slipway:geheim@127.0.0.1:${given.postgres.port}/absent`;
    for (const [url, why] of [
      [nowhere, "ECONNREFUSED"],
      [absent, "does not exist"],
    ] as const) {
      const fault: unknown = await openStore({ type: "postgres", url }, options).catch((error: unknown) => error);
      if (!(fault instanceof Fault)) throw new Error(`Cannot go on: ${String(fault)}, needs a fault`);
      expect(fault.code).toBe("state.unreached");
      expect(fault.message).toContain(why);
      expect(fault.message).not.toContain("geheim");
    }
    await expect(openStore({ type: "postgres", url: "geheim" }, options)).rejects.toMatchObject({
      code: "settings.invalid",
    });
  });

  test("openStore() works by Unix socket", async () => {
    const { target, postgres } = given;
    if (target.type !== "postgres") throw new Error("Cannot look: needs PostgreSQL");
    const { pathname } = new URL(target.url);
    const url = `postgres://slipway@localhost:${postgres.port}${pathname}?host=${postgres.folder}`;
    await using store = await openStore({ type: "postgres", url }, options);
    expect(await store.environments.list()).toEqual([]);
  });

  test("openStore() makes the tables once when four processes start at once", async () => {
    const stores = await Promise.all([given.open(), given.open(), given.open(), given.open()]);
    for (const store of stores) expect(await store.environments.list()).toEqual([]);
  });

  test("holdLease() gives a lease to one of many that ask at once in two processes", async () => {
    const stores = [await given.open(), await given.open()] as const;
    const asked = Array.from({ length: 20 }, (_, index) =>
      stores[index % 2 === 0 ? 0 : 1].knowledge.holdLease("poll", `holder${index}`, 60_000),
    );
    expect((await Promise.all(asked)).filter(Boolean)).toHaveLength(1);
  });

  test("close() ends every connection and is done in 2 s although the server does not answer", async () => {
    const store = await given.open();
    await Promise.all(Array.from({ length: 5 }, (_, index) => store.knowledge.holdLease(`${index}`, "one", 1_000)));
    const sql = "select pid from pg_stat_activity where application_name = 'slipway'";
    const pids = (await given.postgres.query(sql)).map(({ pid }) => Number(pid));
    expect(pids.length).toBeGreaterThan(3);
    try {
      for (const pid of pids) process.kill(pid, "SIGSTOP");
      const begunAt = performance.now();
      await store.close();
      expect(performance.now() - begunAt).toBeLessThan(2_000);
    } finally {
      for (const pid of pids) process.kill(pid, "SIGCONT");
    }
    await until("the server to see it", async () => (await given.postgres.query(sql)).length === 0);
    await expect(store.environments.list()).rejects.toThrow();
  });
});
