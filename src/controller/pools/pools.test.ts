import { beforeEach, describe, expect, test, vi } from "vitest";
import { hang, never } from "../../../test/fakes/controller-world.ts";
import { HandClock } from "../../../test/fakes/hand-clock.ts";
import { Killer, makePoolWorld, memberSpec, poolOf, type PoolWorld } from "../../../test/fakes/pool-world.ts";
import { describeStores } from "../../../test/harness/each-store.ts";
import { SOON, until } from "../../../test/harness/wait.ts";
import { Fault } from "../../base/fault.ts";
import type { PoolMember } from "../../store/pools.ts";
import { PoolExplanation, PoolRow } from "../../wire/lobby.ts";
import type { Pools } from "./ports.ts";

/** A Monday noon in UTC. */
const START = Date.parse("2026-06-01T12:00Z");
const MINUTE_MS = 60_000;

const request = { repository: "hello", version: "image=1" };
const areReady =
  (count: number) =>
  (members: readonly PoolMember[]): boolean =>
    members.length === count && members.every(({ state }) => state === "ready");
const countOf = (members: readonly PoolMember[], state: PoolMember["state"]): number =>
  members.filter((member) => member.state === state).length;
const ids = (members: readonly PoolMember[]): string[] => members.map(({ id }) => id).sort();

describeStores((given) => {
  let world: PoolWorld;
  beforeEach(async () => {
    const clock = new HandClock(START);
    world = makePoolWorld(await given.open({ clock }), clock);
    return () => world[Symbol.asyncDispose]();
  });
  const claim = (pools: Pools, changes: Partial<typeof request> & { on?: string[] } = {}) =>
    pools.claim({ ...request, ...changes }, never);
  /** As the controller does with what it has claimed. */
  async function addRecord(id: string): Promise<void> {
    const names = { person: "ada", repository: "hello", hostname: "h", fromBranch: undefined, inventory: [] };
    const allowance = { perPerson: 99, firstUid: 2_000, uidCount: 99 };
    await world.store.environments.add({ ...names, id, cluster: "east", branch: id, login: id }, allowance);
  }

  test("keep() fills a pool, two at a time, each recorded before it is made, and runs what can be run ahead", async () => {
    const made: string[] = [];
    let atOnce = 0;
    world.runtime.before("create", async (id) => {
      expect(await world.store.pools.find(id)).toMatchObject({ state: "filling", cluster: "east", image: "debian" });
      made.push(id);
      // The first one is held until there is a second beside it, so that it is not chance whether they meet.
      await until("two to be made at once", () => made.length >= 2);
      atOnce = Math.max(atOnce, countOf(await world.members(), "filling"));
    });
    world.serve({ settings: [poolOf({ size: 5 })] });
    await world.until(areReady(5));
    expect(made.sort()).toEqual(ids(await world.members()));
    expect(atOnce).toBe(2);
    expect(world.runtime.commands.map(({ command, env }) => [command, env])).toEqual(
      Array.from({ length: 5 }, () => [{ shell: "npm ci" }, { CI: "1" }]),
    );
  });

  test("claim() gives 5 members to 50 who ask at once, each to one, and tells the others why not", async () => {
    const { pools } = world.serve({ settings: [poolOf({ size: 5 })] });
    await world.until(areReady(5));
    world.isBusy = true;
    const claimed = await Promise.all(Array.from({ length: 50 }, () => claim(pools)));
    const warm = claimed.flatMap((one) => (one.type === "warm" ? one.id : []));
    expect(new Set(warm).size).toBe(5);
    expect(warm).toHaveLength(5);
    for (const one of claimed) if (one.type === "cold") expect(one.because).toBe("pool empty (next in ~1 s)");
    expect(await pools.explain("hello")).toMatchObject({ sinceStart: { hits: 5, misses: 45, hitRatio: 0.1 } });
  });

  test("keep() fills up again as soon as one was claimed, and forgets it when it is an environment", async () => {
    const { pools } = world.serve();
    await world.until(areReady(2));
    const claimed = await claim(pools);
    if (claimed.type !== "warm")
      throw new Error(`Cannot go on: ${"because" in claimed ? claimed.because : claimed.type}`);
    await addRecord(claimed.id);
    await world.until((members) => countOf(members, "ready") === 2);
    pools.look();
    await world.until(areReady(2));
    expect(world.runtime.environments.has(claimed.id)).toBe(true);
    expect(await pools.owns(claimed.id)).toBe(false);
  });

  test("keep() takes a claimed member away of which no environment was made for 5 minutes", async () => {
    const { pools } = world.serve();
    await world.until(areReady(2));
    const claimed = await claim(pools);
    await world.until((members) => countOf(members, "ready") === 2);
    await world.clock.advance(4 * MINUTE_MS);
    expect(countOf(await world.members(), "claimed")).toBe(1);
    await world.clock.advance(2 * MINUTE_MS);
    await world.until(areReady(2));
    expect(world.runtime.environments.has(claimed.type === "warm" ? claimed.id : "")).toBe(false);
  });

  test("giveUp() has a claimed member taken away at once", async () => {
    const { pools } = world.serve();
    await world.until(areReady(2));
    const claimed = await claim(pools);
    const id = claimed.type === "warm" ? claimed.id : "";
    await pools.giveUp(id, "it cannot be relabelled");
    await world.until(areReady(2));
    expect(world.runtime.environments.has(id)).toBe(false);
  });

  test("claim() passes over a member that is dead, and over one that does not answer as it should", async () => {
    const { pools } = world.serve({ settings: [poolOf({ size: 3 })] });
    await world.until(areReady(3));
    const [asleep, strange, fit] = (await world.members()).toSorted(
      (one, other) => (one.readyAt ?? 0) - (other.readyAt ?? 0) || (one.id < other.id ? -1 : 1),
    );
    await world.runtime.sleep(asleep?.id ?? "");
    world.verify = async (id) => {
      if (id === strange?.id) throw new Fault("runtime.failed", "Cannot enter", { told: "its sshd does not answer" });
    };
    world.isBusy = true; // else one that is made meanwhile may be as old, and come before
    expect(await claim(pools)).toEqual({ type: "warm", id: fit?.id, cluster: "east", pool: "hello" });
    await addRecord(fit?.id ?? "");
    world.isBusy = false;
    pools.look();
    await world.until((members) => countOf(members, "ready") === 3);
    expect([...world.runtime.environments.keys()]).not.toContain(asleep?.id);
  });

  test("claim() waits 2 s for a member that says nothing, and then falls back to cold", async () => {
    const { pools } = world.serve();
    await world.until(areReady(2));
    world.verify = hang;
    const claiming = claim(pools);
    await vi.waitUntil(async () => countOf(await world.members(), "claimed") === 1, SOON);
    await vi.waitUntil(() => world.runtime.countOf("observe") === 1, SOON);
    await world.clock.advance(2_000);
    expect(await claiming).toEqual({ type: "cold", because: "pool member of no use: it did not answer in 2 s" });
  });

  test("claim() gives members of a cluster that is away back, and takes one of another", async () => {
    const clusters = ["east"];
    world.place = async () => clusters.shift() ?? "west";
    const { pools } = world.serve();
    await world.until(areReady(2));
    const [east] = (await world.members()).filter(({ cluster }) => cluster === "east");
    world.runtime.before("observe", (id) => {
      if (id === east?.id) throw new Fault("cluster.unreached", "Cannot reach", { told: "east does not answer" });
    });
    expect(await claim(pools)).toMatchObject({ type: "warm", cluster: "west" });
    expect(await world.store.pools.find(east?.id ?? "")).toMatchObject({ state: "ready" });
    expect(await claim(pools, { on: ["east"] })).toMatchObject({
      because: "pool member of no use: east does not answer",
    });
  });

  // Nothing told the pool, so that it kept one too many for up to half a minute.
  test("claim() gives a member back when whoever wanted it leaves, and the one made in its stead goes", async () => {
    const { pools } = world.serve();
    await world.until(areReady(2));
    const before = ids(await world.members());
    world.verify = (id) => (before.includes(id) ? hang() : Promise.resolve());
    const leaving = new AbortController();
    const claiming = pools.claim(request, leaving.signal).catch((error: unknown) => error);
    await world.until((members) => countOf(members, "claimed") === 1);
    pools.look();
    await world.until((members) => countOf(members, "ready") === 2);
    leaving.abort();
    expect(await claiming).toMatchObject({ name: "AbortError" });
    await world.until(areReady(2));
  });

  // A pool whose cluster was not the one that had been chosen counted as none: nobody was told why they waited.
  test("claim() says so when the pool is on a cluster that cannot take what is wanted", async () => {
    const { pools } = world.serve({ settings: [poolOf({ cluster: "east" })] });
    await world.until(areReady(2));
    const because = "its pool is on east, where this environment cannot be";
    expect(await claim(pools, { on: ["west"] })).toEqual({ type: "cold", because });
    expect(await claim(pools, { on: ["west", "east"] })).toMatchObject({ type: "warm", cluster: "east" });
  });

  test("claim() says why there is none", async () => {
    const { pools, stop } = world.serve();
    expect(await claim(pools, { repository: "tools" })).toEqual({ type: "none" });
    await world.until(areReady(2));
    const because = "definition differs from the pool's: image, user";
    expect(await claim(pools, { version: "image=2 user=1" })).toEqual({ type: "cold", because });
    await vi.waitUntil(async () => (await pools.explain("hello")).missesBecause[because] === 1, SOON);
    await stop();
    const always = { days: [0, 1, 2, 3, 4, 5, 6], fromMinute: 0, untilMinute: 1_440, timeZone: "UTC", size: 0 };
    const off = world.serve({ settings: [poolOf({ schedule: [always] })] });
    await world.until((members) => members.length === 0);
    expect(await claim(off.pools)).toEqual({ type: "cold", because: "pool empty by its schedule" });
  });

  test("keep() makes nothing while somebody waits for an environment", async () => {
    world.isBusy = true;
    world.serve();
    await world.clock.advance(1_000);
    expect(world.runtime.calls).toEqual([]);
    world.isBusy = false;
    await vi.waitUntil(async () => {
      await world.clock.advance(250);
      return areReady(2)(await world.members());
    }, SOON);
  });

  // One opening that hung kept every pool empty for as long, and had the database asked four times a second.
  test("keep() fills pools when people wait for longer than 10 s, and looks less and less often until then", async () => {
    world.isBusy = true;
    let lookCount = 0;
    const list = (): Promise<PoolMember[]> => (lookCount++, world.store.pools.list());
    world.serve({ store: { ...world.store, pools: { ...world.store.pools, list } } });
    await vi.waitUntil(async () => {
      await world.clock.advance(250);
      if (world.clock.elapsed() < 10_000) expect(world.runtime.calls).toEqual([]);
      else if (world.runtime.calls.length === 0) expect(lookCount).toBeLessThan(20);
      return areReady(2)(await world.members());
    }, SOON);
  });

  // Its members held all there was to make others with, up to half an hour for each, so that no other pool was filled.
  test("keep() fills a pool while members of others do not come up, of which it begins no more than two each", async () => {
    const stuck = ["one", "two"];
    world.runtime.before("start", async (id) => {
      if (stuck.includes((await world.store.pools.find(id))?.pool ?? "")) await hang();
    });
    world.serve({ settings: [...stuck.map((name) => poolOf({ name, size: 5 })), poolOf()] });
    const countIn = (members: readonly PoolMember[], pool: string, state: PoolMember["state"]): number =>
      countOf(
        members.filter((member) => member.pool === pool),
        state,
      );
    await vi.waitUntil(async () => {
      await world.clock.advance(1_000);
      return countIn(await world.members(), "hello", "ready") === 2;
    }, SOON);
    await world.clock.advance(2 * MINUTE_MS);
    await world.until((members) => stuck.every((name) => countIn(members, name, "filling") === 2));
    expect(await world.members()).toHaveLength(6);
  });

  // A member was counted in before it was recorded, and somebody's environment came between: one more than the capacity.
  test("keep() makes no member when somebody takes the last place meanwhile, says so and tries again", async () => {
    world.capacity = 2;
    world.place = async () => {
      if (world.capacity === 2) for (const id of ["e1", "e2"]) await addRecord(id);
      return "east";
    };
    const { pools } = world.serve();
    const because = "east is full, 2 of 2 in use";
    await vi.waitUntil(async () => (await pools.explain("hello")).waitingBecause === because, SOON);
    expect([await world.members(), world.runtime.calls]).toEqual([[], []]);
    world.capacity = 4;
    await world.clock.advance(30_000);
    await world.until(areReady(2));
  });

  // A push that came while the definition was read changed nothing: for a minute members were made of what was read before it.
  test.each([1, 2])("look() counts while the definition is being read, the %i. time too", async (slow) => {
    let readCount = 0;
    const read = Promise.withResolvers<undefined>();
    const { pools } = world.serve({
      describe: async () => {
        const spec = memberSpec(world.version);
        if (++readCount === slow) await read.promise;
        return spec;
      },
    });
    if (slow > 1) {
      await world.until(areReady(2));
      pools.look();
    }
    await vi.waitUntil(() => readCount === slow, SOON);
    world.version = "image=2";
    pools.look();
    read.resolve(undefined);
    await world.until((members) => areReady(2)(members) && members.every(({ version }) => version === "image=2"));
  });

  test("keep() recycles every member when the definition changes", async () => {
    const { pools } = world.serve();
    await world.until(areReady(2));
    const before = ids(await world.members());
    world.version = "image=2";
    pools.look("tools");
    pools.look("hello");
    await world.until((members) => areReady(2)(members) && members.every(({ version }) => version === "image=2"));
    expect([...world.runtime.environments.keys()].sort()).toEqual(ids(await world.members()));
    for (const id of before) expect(world.runtime.environments.has(id)).toBe(false);
  });

  test("keep() follows the schedule within a minute, and shrinks at once, what is being made included", async () => {
    const lunch = { days: [1], fromMinute: 721, untilMinute: 722, timeZone: "UTC", size: 0 };
    world.serve({ settings: [poolOf({ size: 3, schedule: [lunch] })] });
    await world.until(areReady(3));
    await world.clock.advance(MINUTE_MS);
    await world.until((members) => members.length === 0);
    expect(world.runtime.environments.size).toBe(0);
    world.runtime.onCommand = (_, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("Aborted"))));
    await world.clock.advance(MINUTE_MS);
    await world.until((members) => countOf(members, "filling") === 2);
  });

  test("keep() ends what it is making when it is wanted no more", async () => {
    const late = { days: [1], fromMinute: 721, untilMinute: 1_440, timeZone: "UTC", size: 0 };
    world.runtime.onCommand = (_, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("Aborted"))));
    world.serve({ settings: [poolOf({ schedule: [late] })] });
    await vi.waitUntil(() => world.runtime.commands.length === 2, SOON);
    await world.clock.advance(MINUTE_MS);
    await world.until((members) => members.length === 0);
    expect(world.runtime.environments.size).toBe(0);
    expect(world.lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("keep() pauses a pool after three failures in a row, keeps one to look at, and tries again after ten minutes", async () => {
    world.runtime.onCommand = () => 3;
    const { pools } = world.serve();
    await world.until((members) => members.length === 1 && countOf(members, "failed") === 1);
    await vi.waitUntil(async () => (await pools.explain("hello")).pausedBecause !== undefined, SOON);
    await world.until((members) => members.length === 1); // of those that failed at once the others go
    const [failed] = await world.members();
    const reason = "onCreateCommand failed with exit code 3";
    expect(await pools.explain("hello")).toMatchObject({
      failed: 1,
      pausedBecause: reason,
      pausedUntil: new Date(START + 10 * MINUTE_MS).toISOString(),
      failedMember: { id: failed?.id, cluster: "east", reason },
    });
    expect(await claim(pools)).toEqual({ type: "cold", because: `pool paused: ${reason}` });
    const tries = world.runtime.countOf("create");
    expect(tries).toBeLessThanOrEqual(4);
    await world.clock.advance(9 * MINUTE_MS);
    expect(world.runtime.countOf("create")).toBe(tries);
    world.runtime.onCommand = () => 0;
    await world.clock.advance(MINUTE_MS);
    await world.until(areReady(2));
    expect([...world.runtime.environments.keys()].sort()).toEqual(ids(await world.members()));
  });

  test("keep() tries at once when the definition of a paused pool changes", async () => {
    world.runtime.onCommand = () => 3;
    const { pools } = world.serve();
    await vi.waitUntil(async () => (await pools.explain("hello")).pausedBecause !== undefined, SOON);
    world.runtime.onCommand = () => 0;
    world.version = "image=2";
    pools.look();
    await world.until(areReady(2));
  });

  test("keep() does not blame a pool for a cluster that is away or full", async () => {
    let isAway = true;
    world.runtime.before("create", () => {
      if (isAway) throw new Fault("cluster.unreached", "Cannot reach", { told: "east does not answer" });
    });
    const { pools } = world.serve();
    await world.until((members) => members.length === 0 && world.runtime.countOf("destroy") > 0);
    expect(await claim(pools)).toEqual({ type: "cold", because: "pool empty: east does not answer" });
    expect((await pools.explain("hello")).pausedBecause).toBeUndefined();
    isAway = false;
    world.place = () => Promise.reject(new Fault("cluster.full", "Cannot place", { told: "east is full" }));
    await world.clock.advance(30_000);
    await vi.waitUntil(async () => (await pools.explain("hello")).waitingBecause === "east is full", SOON);
    world.place = async () => "east";
    await world.clock.advance(30_000);
    await world.until(areReady(2));
  });

  test("keep() leaves members alone while their definition cannot be read, and tells why nothing is made", async () => {
    const first = world.serve();
    await world.until(areReady(2));
    await first.stop();
    const told = "the origin cannot be reached";
    const fault = new Fault("repository.unreached", "Cannot fetch", { told });
    const { pools } = world.serve({ settings: [poolOf({ size: 3 })], describe: () => Promise.reject(fault) });
    await vi.waitUntil(async () => (await pools.explain("hello")).waitingBecause === told, SOON);
    expect(areReady(2)(await world.members())).toBe(true);
    expect(await claim(pools)).toMatchObject({ type: "warm" });
  });

  test("keep() goes on with the other pools when one cannot be described for ever", async () => {
    const settings = [poolOf(), poolOf({ name: "tools", repository: "tools" })];
    world.serve({
      settings,
      describe: ({ name }) => (name === "tools" ? hang() : Promise.resolve(memberSpec("image=1"))),
    });
    await vi.waitUntil(() => world.clock.pendingCount > 0, SOON);
    await world.clock.advance(20_000);
    await world.until(areReady(2));
  });

  test("keep() takes away members of a pool that the settings have no more", async () => {
    const first = world.serve();
    await world.until(areReady(2));
    await first.stop();
    world.serve({ settings: [] });
    await world.until((members) => members.length === 0);
    expect(world.runtime.environments.size).toBe(0);
  });

  test("keep() tries again to take away what could not be", async () => {
    let failing = true;
    world.runtime.before("destroy", () => {
      if (failing) throw new Fault("environment.stuck", "Cannot destroy");
    });
    const { pools } = world.serve();
    await world.until(areReady(2));
    world.version = "image=2";
    pools.look();
    await world.until((members) => countOf(members, "leaving") === 2 && countOf(members, "ready") === 2);
    failing = false;
    await vi.waitUntil(async () => {
      await world.clock.advance(10_000);
      return areReady(2)(await world.members());
    }, SOON);
  });

  test("keep() fills the emptiest pool first", async () => {
    const order: string[] = [];
    const settings = [poolOf({ size: 4 }), poolOf({ name: "tools", repository: "tools", size: 4 })];
    world.serve({
      settings,
      place: async ({ name }) => (order.push(name), { cluster: "east", capacity: world.capacity }),
    });
    await world.until(areReady(8));
    expect(order.slice(0, 4).sort()).toEqual(["hello", "hello", "tools", "tools"]);
  });

  test("list() and explain() tell what fits their schemas, what waiting costs included", async () => {
    const { pools } = world.serve();
    await world.until(areReady(2));
    await world.clock.advance(60 * MINUTE_MS);
    expect(PoolRow.array().parse(await pools.list())).toEqual([
      { name: "hello", repository: "hello", wanted: 2, ready: 2, filling: 0, failed: 0 },
    ]);
    const explained = PoolExplanation.parse(await pools.explain("hello"));
    expect(explained).toMatchObject({
      madeFrom: "image=1",
      image: "debian",
      refillP50Ms: 0,
      lastDay: { hits: 0, misses: 0 },
    });
    expect(explained.idleUsd).toBeCloseTo(2 * 0.031611, 6);
    expect(explained.idleUsdPerHour).toBeCloseTo(2 * 0.031611, 9);
    await claim(pools);
    await vi.waitUntil(async () => (await pools.explain("hello")).lastDay.hitRatio === 1, SOON);
    await vi.waitUntil(async () => (await pools.explain("hello")).idleUsd > 1.9 * 0.031611, SOON);
    await expect(pools.explain("helo")).rejects.toMatchObject({
      code: "usage.wrong",
      told: 'there is no pool "helo"; nearest: hello',
    });
  });

  test("keep() ends in an orderly way and the next service makes what it left anew", async () => {
    world.runtime.onCommand = (_, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("Aborted"))));
    const first = world.serve();
    await vi.waitUntil(() => world.runtime.commands.length === 2, SOON);
    const begun = ids(await world.members());
    await first.stop();
    world.runtime.onCommand = () => 0;
    world.serve();
    await world.until((members) => areReady(2)(members) && members.every(({ id }) => !begun.includes(id)));
    expect([...world.runtime.environments.keys()].sort()).toEqual(ids(await world.members()));
    expect(world.lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  describe("after kill -9", () => {
    const READS = ["list", "find", "failures", "counts", "observe", "then"];

    /** Fills, is claimed from, is recycled: as far as it comes. */
    async function live(killer: Killer): Promise<boolean> {
      const killed = {
        store: {
          pools: killer.watch(world.store.pools, READS),
          environments: killer.watch(world.store.environments, READS),
        },
        runtime: killer.watch(world.runtime, READS),
      };
      const { pools } = world.serve(killed);
      const isSo = (wanted: (members: readonly PoolMember[]) => boolean) =>
        vi.waitUntil(async () => killer.isDead || wanted(await world.members()), SOON);
      await isSo(areReady(2));
      void claim(pools).catch(() => undefined);
      await isSo((members) => countOf(members, "claimed") === 1 && countOf(members, "ready") === 2);
      world.version = "image=2";
      pools.look();
      await isSo(
        (members) =>
          countOf(members, "ready") === 2 &&
          members.every(({ version, state }) => state === "claimed" || version === "image=2"),
      );
      return killer.isDead;
    }

    test.each(["before", "after"] as const)(
      "at any moment, %s its effect, the next service reaches the same state",
      async (when) => {
        let moments = 0;
        for (let at = 1; ; at++) {
          world.version = "image=1";
          const wasKilled = await live(new Killer(at, when));
          if (!wasKilled) break;
          moments += 1;
          world.version = "image=2";
          const { stop } = world.serve();
          // What was on its way to the database when the process ended may come after the first look.
          await vi.waitUntil(async () => {
            await world.clock.advance(1_000);
            const members = await world.members();
            const isWhole = areReady(2)(members) && members.every(({ version }) => version === "image=2");
            return isWhole && [...world.runtime.environments.keys()].sort().join() === ids(members).join();
          }, SOON);
          await stop();
          for (const { id } of await world.members()) {
            await world.runtime.destroy(id);
            await world.store.pools.remove(id);
          }
          // What was claimed by a service that died before anybody could be told of it.
          expect(world.runtime.environments.size).toBe(0);
        }
        expect(moments).toBeGreaterThan(20);
      },
      120_000,
    );
  });
});
