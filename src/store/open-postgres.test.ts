import { expect, test } from "vitest";
import { HandClock } from "../../test/fakes/hand-clock.ts";
import { recordingLog } from "../../test/fakes/recording-log.ts";
import { describePostgres } from "../../test/harness/each-store.ts";
import { until } from "../../test/harness/wait.ts";
import { makeClock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import { makeLog } from "../base/log.ts";
import type { RepositoryFacts } from "../wire/forge.ts";
import type { KnowledgeChange } from "../wire/knowledge.ts";
import type { StoreOptions } from "./store-options.ts";
import { openStore, type Store } from "./store.ts";

const shop: RepositoryFacts = {
  ...{ forge: "github", id: "9", owner: "acme", name: "shop", cloneUrl: "https://github.com/acme/shop.git" },
  ...{ isPrivate: true, state: "connected", stateVerifiedAt: 1_000, rolesVerifiedAt: undefined },
};
const ref = { forge: "github", id: "9" };
const options = { clock: makeClock(), log: makeLog("silent") };

/** What a store hears. */
function hear(store: Store): KnowledgeChange[] {
  const heard: KnowledgeChange[] = [];
  store.knowledge.onChanged((change) => heard.push(change));
  return heard;
}

describePostgres((given) => {
  const askIn = async (sql: string): Promise<Record<string, unknown>[]> => {
    const { target } = given;
    if (target.type !== "postgres") throw new Error("Cannot look: needs PostgreSQL");
    return given.postgres.query(sql, target.url);
  };

  /** Ids of the server's processes that serve connections which listen. */
  const listeningPids = async (): Promise<number[]> => {
    const rows =
      await askIn(`select pid from pg_stat_activity where application_name = 'slipway' and datname = current_database()
      and (query in ('listen slipway_knowledge', 'select 1') or query like 'select pg_try_advisory_lock%')`);
    return rows.map(({ pid }) => Number(pid));
  };

  /**
   * Opens a store on a clock that stands still: nothing is asked of the connection that listens, so that no answer is late
   * on a machine with other work, and it is not made anew before the clock is moved.
   */
  const openStill = async (more: Partial<StoreOptions> = {}): Promise<{ store: Store; clock: HandClock }> => {
    const clock = new HandClock();
    return { store: await given.open({ ...more, clock }), clock };
  };

  /** Cuts connections, and waits until the server is rid of them and of their locks. */
  const cut = async (pids: readonly number[]): Promise<void> => {
    for (const pid of pids) await given.postgres.query(`select pg_terminate_backend(${pid})`);
    await until("the server to let go", async () => !(await listeningPids()).some((pid) => pids.includes(pid)));
  };

  /** Moves a clock until its store listens anew, and no further: what is asked of the connection has its time from then on. */
  const listenAnew = async (clock: HandClock): Promise<void> => {
    const known = await listeningPids();
    await until("the store to listen anew", async () => {
      await clock.advance(100);
      return (await listeningPids()).some((pid) => !known.includes(pid));
    });
  };

  test("onChanged() calls back in the other process at each save without looking for it, and in the own one never", async () => {
    const [{ store: one }, { store: other }] = [await openStill(), await openStill()];
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
    for (const [index, save] of saves.entries()) {
      await save();
      await until("the other store to hear it", () => heard.length > index);
    }
    expect(heard.map(({ type }) => type)).toEqual(["repository", "roles", "roles", "account"]);
    expect(heard.every((change) => change.type !== "everything" && change.id === "9")).toBe(true);
    // One connection tells in order: whatever there was of its own would come before this.
    await other.knowledge.tellHint({ type: "hint", forge: "github", id: "7" });
    await until("the own store to hear the other", () => ownHeard.length > 0);
    expect(ownHeard.map(({ type }) => type)).toEqual(["hint"]);
  });

  // Two services on one copied state folder took away what the other was making, and undid its removals.
  test("openStore() is refused while another process is the same installation, however often that connects anew", async () => {
    const alone = { installation: "x1", isAlone: true, lockMs: 1_000 };
    const { store: one, clock } = await openStill(alone);
    const message = expect.stringContaining("another process on this state folder, or on a copy of it") as string;
    await expect(given.open(alone)).rejects.toMatchObject({ code: "state.locked", message });
    await cut(await listeningPids());
    await listenAnew(clock);
    await until("the store to have its lock again", async () => {
      const sql = "select 1 from pg_locks join pg_database on oid = database where datname = current_database()";
      return (await askIn(`${sql} and locktype = 'advisory' and granted`)).length > 0;
    });
    await expect(given.open(alone)).rejects.toMatchObject({ code: "state.locked" });
    await given.open({ installation: "x2", isAlone: true });
    await one.close();
    await given.open(alone);
  }, 60_000);

  test("openStore() says so when another process took its place while it was not connected", async () => {
    const lost: string[] = [];
    const alone = { installation: "x3", isAlone: true };
    const { clock } = await openStill({ ...alone, lockMs: 0, onLost: (fault) => lost.push(fault.code) });
    const pids = await listeningPids();
    const taking = given.open({ ...alone, lockMs: 10_000 });
    await until("the other to wait", async () => (await listeningPids()).some((pid) => !pids.includes(pid)));
    await cut(pids);
    await taking;
    await listenAnew(clock);
    await until("the first to hear of it", () => lost.length > 0, 30_000);
    expect(lost).toEqual(["state.locked"]);
  }, 60_000);

  test("tellHint() reaches the other process, of one account or of all", async () => {
    const [{ store: one }, { store: other }] = [await openStill(), await openStill()];
    const heard = hear(other);
    const hints = ["7", ""].map((id) => ({ type: "hint", forge: "github", id }) as const);
    for (const hint of hints) await one.knowledge.tellHint(hint);
    await until("the other store to hear both", () => heard.length > 1);
    expect(heard).toEqual(hints);
  });

  test("onChanged() calls back for no save that changed nothing, and not after it was stopped", async () => {
    const [{ store: one }, { store: other }] = [await openStill(), await openStill()];
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
    const [{ store: one }, { store: other, clock }] = [await openStill(), await openStill()];
    const heard = hear(other);
    await cut(await listeningPids());
    await listenAnew(clock);
    await until("the other store to hear again", () => heard.length > 0);
    expect(heard).toEqual([{ type: "everything" }]);
    await one.knowledge.saveRepository(shop);
    await until("the other store to hear a change", () => heard.length > 1);
    expect(heard[1]).toEqual({ type: "repository", ...ref });
  });

  test("onChanged() notices within 1 s that its connection has fallen silent", async () => {
    const { log, lines } = recordingLog();
    const [{ store: one }, { store: other, clock }] = [await openStill(), await openStill({ log })];
    const heard = hear(other);
    const frozen = await listeningPids();
    expect(frozen).toHaveLength(2);
    const noticed = () => lines.map(({ facts }) => facts["why"]);
    try {
      for (const pid of frozen) process.kill(pid, "SIGSTOP");
      await one.knowledge.saveRepository(shop);
      await clock.advance(999);
      expect(noticed()).toEqual([]);
      await clock.advance(1);
      expect(noticed()).toEqual(["Error: Cannot hear: the server did not answer for 500 ms"]);
      await listenAnew(clock);
      await until("the other store to hear again", () => heard.length > 0);
      expect(heard[0]).toEqual({ type: "everything" });
      expect(await other.knowledge.findRepository(ref)).toEqual(shop);
    } finally {
      for (const pid of frozen) process.kill(pid, "SIGCONT");
    }
  });

  test("a query rejects while the server is down, and works again with what was acknowledged once it is up", async () => {
    const { store, clock } = await openStill();
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
    await listenAnew(clock);
    await until("it to hear again", () => heard.length > 0);
    expect(heard).toEqual([{ type: "everything" }]);
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
    const { store, clock } = await openStill();
    await Promise.all(Array.from({ length: 5 }, (_, index) => store.knowledge.holdLease(`${index}`, "one", 1_000)));
    const sql = "select pid from pg_stat_activity where application_name = 'slipway'";
    const pids = (await given.postgres.query(sql)).map(({ pid }) => Number(pid));
    expect(pids.length).toBeGreaterThan(3);
    try {
      for (const pid of pids) process.kill(pid, "SIGSTOP");
      const closing = store.close();
      await clock.advance(2_000);
      await closing;
    } finally {
      for (const pid of pids) process.kill(pid, "SIGCONT");
    }
    await until("the server to see it", async () => (await given.postgres.query(sql)).length === 0);
    await expect(store.environments.list()).rejects.toThrow();
  });
});
