/**
 * The queries on the pools of one installation: their members, their failures in a row, and what became of claims. Each is
 * one statement or one transaction, and durable when its promise resolves.
 *
 * Called by `controller/pools/` alone, the only writer. Decides nothing about how many members there are to be.
 *
 * @module
 */
import { type Kysely, type Selectable, sql } from "kysely";
import type { Clock } from "../base/clock.ts";
import { hasRoom, lockOfRoom } from "./cluster-room.ts";
import type { Engine } from "./engine.ts";
import type { PoolMemberRow, Tables } from "./schema.ts";

/**
 * `filling`: recorded, being made. `ready`: to be claimed. `claimed`: somebody's, until there is a record of the
 * environment. `failed`: its making failed, or it was found dead. `leaving`: to be destroyed; nothing else comes after it.
 */
export type MemberState = PoolMemberRow["state"];

/** A member as recorded. Times are epoch ms. */
export interface PoolMember {
  readonly id: string;
  readonly cluster: string;
  readonly pool: string;
  /** What it was made from, as `policy/pool-version.ts` writes it. */
  readonly version: string;
  readonly state: MemberState;
  /** Why it failed or leaves. */
  readonly reason: string | undefined;
  /** For people to look at. */
  readonly image: string | undefined;
  readonly createdAt: number;
  readonly readyAt: number | undefined;
  readonly claimedAt: number | undefined;
}

export interface NewMember extends Pick<PoolMember, "id" | "cluster" | "pool" | "version"> {
  readonly image?: string;
}

/** Which member will do. */
export interface WantedMember {
  readonly pool: string;
  readonly version: string;
  /** Clusters that it may be on, the one liked best first; any when absent. */
  readonly on?: readonly string[];
  /** Clusters that do not answer. */
  readonly notOn?: readonly string[];
}

/** Failures of one version with nothing coming out well between them. */
export interface PoolFailure {
  readonly pool: string;
  readonly version: string;
  readonly failedCount: number;
  /** Of the last. */
  readonly reason: string;
  readonly failedAt: number;
}

export interface PoolCount {
  readonly pool: string;
  /** Begin of the hour. */
  readonly hourAt: number;
  readonly what: string;
  readonly amount: number;
}

export interface PoolMembers {
  /**
   * Records a member that is about to be made: `filling`.
   *
   * @param capacity of its cluster, environments included
   * @returns `false` when there is no room any more; then nothing is written
   */
  add(member: NewMember, capacity: number): Promise<boolean>;
  find(id: string): Promise<PoolMember | undefined>;
  /** All there are, oldest first. */
  list(): Promise<PoolMember[]>;
  /** Takes a member from one state to another. `false` when it is not in the first, as it was claimed meanwhile. */
  move(id: string, from: MemberState, to: MemberState, reason?: string): Promise<boolean>;
  /** Claims the member that has been ready for longest. Of those who ask at once each gets another, or nothing. */
  claim(wanted: WantedMember): Promise<PoolMember | undefined>;
  /** Deletes the record of one that is gone, or is an environment. */
  remove(id: string): Promise<void>;
  /** Counts one more failure, from 1 when the last one was of another version. */
  addFailure(pool: string, version: string, reason: string): Promise<void>;
  clearFailures(pool: string): Promise<void>;
  failures(): Promise<PoolFailure[]>;
  /** Adds to what a pool had of something in this hour, and forgets what is older than 30 days. */
  count(pool: string, what: string, amount: number): Promise<void>;
  counts(): Promise<PoolCount[]>;
}

const HOUR_MS = 3_600_000;
const KEPT_MS = 30 * 24 * HOUR_MS;

/** Makes the queries of `installation`, which find and touch nothing of another. */
export function makePoolQueries(engine: Engine, clock: Clock, installation: string): PoolMembers {
  const { kysely: database } = engine;
  return {
    ...makeCounts(database, clock, installation),
    add: (member, capacity) =>
      engine.exclusively(lockOfRoom(installation), async (transaction) => {
        const { cluster, image = null } = member;
        if (!(await hasRoom(transaction, installation, { cluster, capacity }))) return false;
        const states = { state: "filling", reason: null, ready_at: null, claimed_at: null } as const;
        const row = { ...member, installation, image, created_at: clock.now(), ...states };
        await transaction.insertInto("pool_members").values(row).execute();
        return true;
      }),
    find: async (id) => {
      const row = await selectOf(database, installation).where("id", "=", id).executeTakeFirst();
      return row === undefined ? undefined : toMember(row);
    },
    list: async () => {
      const rows = await selectOf(database, installation).orderBy("created_at").orderBy("id").execute();
      return rows.map(toMember);
    },
    move: async (id, from, to, reason) => {
      const result = await database
        .updateTable("pool_members")
        .set({ state: to, ...(reason === undefined ? {} : { reason }) })
        // One that was claimed and given back has been ready since before.
        .$if(to === "ready", (query) =>
          query.set({ ready_at: sql`coalesce(ready_at, ${clock.now()})`, claimed_at: null }),
        )
        .where("installation", "=", installation)
        .where("id", "=", id)
        .where("state", "=", from)
        .executeTakeFirst();
      return result.numUpdatedRows > 0n;
    },
    claim: (wanted) => claim(engine, { wanted, installation, now: clock.now() }),
    remove: async (id) => {
      await database.deleteFrom("pool_members").where("installation", "=", installation).where("id", "=", id).execute();
    },
  };
}

function selectOf(database: Kysely<Tables>, installation: string) {
  return database.selectFrom("pool_members").selectAll().where("installation", "=", installation);
}

interface Claiming {
  readonly wanted: WantedMember;
  readonly installation: string;
  readonly now: number;
}

async function claim(
  { kysely, skipLocked }: Engine,
  { wanted: { pool, version, on, notOn = [] }, installation, now }: Claiming,
): Promise<PoolMember | undefined> {
  if (on?.length === 0) return undefined;
  const place = on === undefined ? sql`` : sql`and cluster in (${sql.join([...on])})`;
  const liked = on === undefined ? sql`` : sql`case when cluster = ${on[0]} then 0 else 1 end,`;
  const away = notOn.length === 0 ? sql`` : sql`and cluster not in (${sql.join([...notOn])})`;
  const { rows } = await sql<Selectable<PoolMemberRow>>`
    update pool_members set state = 'claimed', claimed_at = ${now}
    where state = 'ready' and id = (
      select id from pool_members
      where installation = ${installation} and pool = ${pool} and version = ${version} and state = 'ready' ${place} ${away}
      order by ${liked} ready_at, id limit 1 ${skipLocked}
    )
    returning *`.execute(kysely);
  return rows[0] === undefined ? undefined : toMember(rows[0]);
}

type Counting = Pick<PoolMembers, "addFailure" | "clearFailures" | "failures" | "count" | "counts">;

function makeCounts(database: Kysely<Tables>, clock: Clock, installation: string): Counting {
  return {
    addFailure: async (pool, version, reason) => {
      await sql`
        insert into pool_failures (installation, pool, version, failed_count, reason, failed_at)
        values (${installation}, ${pool}, ${version}, 1, ${reason}, ${clock.now()})
        on conflict (installation, pool) do update set
          failed_count = case when pool_failures.version = excluded.version then pool_failures.failed_count + 1 else 1 end,
          version = excluded.version, reason = excluded.reason, failed_at = excluded.failed_at`.execute(database);
    },
    clearFailures: async (pool) => {
      const failures = database.deleteFrom("pool_failures").where("installation", "=", installation);
      await failures.where("pool", "=", pool).execute();
    },
    failures: async () => {
      const rows = await database
        .selectFrom("pool_failures")
        .selectAll()
        .where("installation", "=", installation)
        .execute();
      return rows.map(({ pool, version, reason, failed_count: failedCount, failed_at: failedAt }) => {
        return { pool, version, failedCount, reason, failedAt };
      });
    },
    count: async (pool, what, amount) => {
      const now = clock.now();
      const hourAt = Math.floor(now / HOUR_MS) * HOUR_MS;
      await sql`
        insert into pool_counts (installation, pool, hour_at, what, amount)
        values (${installation}, ${pool}, ${hourAt}, ${what}, ${amount})
        on conflict (installation, pool, hour_at, what) do update set amount = pool_counts.amount + excluded.amount`.execute(
        database,
      );
      const counts = database.deleteFrom("pool_counts").where("installation", "=", installation);
      await counts.where("hour_at", "<", now - KEPT_MS).execute();
    },
    counts: async () => {
      const rows = await database
        .selectFrom("pool_counts")
        .selectAll()
        .where("installation", "=", installation)
        .execute();
      return rows.map(({ pool, what, amount, hour_at: hourAt }) => ({ pool, hourAt, what, amount }));
    },
  };
}

function toMember(row: Selectable<PoolMemberRow>): PoolMember {
  const { id, cluster, pool, version, state } = row;
  return {
    ...{ id, cluster, pool, version, state },
    reason: row.reason ?? undefined,
    image: row.image ?? undefined,
    createdAt: row.created_at,
    readyAt: row.ready_at ?? undefined,
    claimedAt: row.claimed_at ?? undefined,
  };
}
