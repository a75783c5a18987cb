/**
 * The queries on the environments of one installation. Each is one statement or one transaction, and durable when its promise
 * resolves.
 *
 * Called by `controller/` alone, the only writer. Decides nothing about people or lifetimes.
 *
 * @module
 */
import { type Kysely, sql, type Transaction, type Updateable } from "kysely";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import {
  checkConditions,
  checkInventory,
  checkStoredDefinition,
  type EnvironmentCondition,
  type InventoryEntry,
  type StoredDefinition,
} from "../wire/environment.ts";
import { countByCluster, hasRoom, hasRoomForNew, type Wanted, lockOfRoom } from "./cluster-room.ts";
import type { Engine } from "./engine.ts";
import type { EnvironmentRow, Tables } from "./schema.ts";
import { freeUid, takeUid, type UidRange } from "./uids.ts";

/** What is being done to an environment. At most one at a time; `fence` of the record numbers them. */
export type Operation = "starting" | "sleeping" | "destroying" | "moving";

/** An environment as recorded. Times are epoch ms. */
export interface EnvironmentRecord {
  readonly id: string;
  readonly person: string;
  /** The id that grants are about. */
  readonly repository: string;
  /** What people type for it, and what the folder in the environment is called. */
  readonly repositoryName: string;
  readonly branch: string;
  /** The canonical login; unique among the person's environments that are to be present. */
  readonly login: string;
  /** Branch that a branch not yet on the forge starts from. */
  readonly fromBranch: string | undefined;
  /** Unique in the installation, records on their way out included. */
  readonly uid: number;
  readonly hostname: string;
  /** The place that runs it, as the settings call it; `local` is this machine. */
  readonly cluster: string;
  readonly desired: "present" | "absent";
  readonly power: "running" | "sleeping" | "waking";
  readonly operation: Operation | undefined;
  readonly fence: number;
  readonly conditions: readonly EnvironmentCondition[];
  readonly inventory: readonly InventoryEntry[];
  readonly definition: StoredDefinition | undefined;
  readonly createdAt: number;
  readonly lastActiveAt: number;
}

export interface NewEnvironment extends Pick<
  EnvironmentRecord,
  "id" | "person" | "repository" | "branch" | "login" | "fromBranch" | "hostname" | "inventory"
> {
  /** @default `repository` */
  readonly repositoryName?: string;
  /** @default "local" */
  readonly cluster?: string;
}

/** What may be given to a new environment. */
export interface Allowance extends UidRange {
  /** Environments of one person that may be present at once. */
  readonly perPerson: number;
  /** Environments that may be on its cluster, members of pools included; any number when absent. */
  readonly capacity?: number;
}

export type Added =
  | { readonly outcome: "added" | "exists"; readonly record: EnvironmentRecord }
  /** Nothing was added: these are what the person has, longest unused first. */
  | { readonly outcome: "limit"; readonly present: readonly EnvironmentRecord[] }
  /** Nothing was added: its cluster has no room any more. */
  | { readonly outcome: "full" };

export interface Filter {
  readonly person?: string;
  readonly repository?: string;
  readonly desired?: "present" | "absent";
}

/** What may change in a record. `null` clears. */
export interface Changes {
  readonly desired?: "absent";
  /** Where it was moved to. */
  readonly cluster?: string;
  readonly power?: EnvironmentRecord["power"];
  readonly conditions?: readonly EnvironmentCondition[];
  readonly inventory?: readonly InventoryEntry[];
  readonly definition?: StoredDefinition | null;
  /** Never moves backwards. */
  readonly lastActiveAt?: number;
}

export interface RoomWanted extends Wanted {
  readonly inventory: readonly InventoryEntry[];
}

export interface Environments {
  /**
   * Adds a record unless the place is taken, the person has enough or its cluster has no room, in one transaction. One that
   * a member of a pool becomes needs no more room than that had.
   *
   * @throws {Fault} `machine.full` when no uid is free
   */
  add(environment: NewEnvironment, allowance: Allowance): Promise<Added>;
  /** The record to be present with this exact login. */
  findByLogin(person: string, login: string): Promise<EnvironmentRecord | undefined>;
  /** The record to be present of this place. */
  findByPlace(person: string, repository: string, branch: string): Promise<EnvironmentRecord | undefined>;
  find(id: string): Promise<EnvironmentRecord | undefined>;
  /** By person, then login, in the order of their code units. */
  list(filter?: Filter): Promise<EnvironmentRecord[]>;
  /** Counts what is on each cluster, whatever is wanted of it, members of pools included. */
  countByCluster(): Promise<ReadonlyMap<string, number>>;
  /**
   * Begins an operation in place of any other, and returns the record with its new fence: from now on only who knows that
   * may write.
   *
   * @throws {Fault} `environment.absent` when there is no such record
   */
  begin(id: string, operation: Operation): Promise<EnvironmentRecord>;
  /** Writes under a fence. `false` when a newer operation has begun or the record is gone; then nothing is written. */
  update(id: string, fence: number, changes: Changes): Promise<boolean>;
  /** Writes as `update` does and ends the operation. */
  end(id: string, fence: number, changes: Changes): Promise<boolean>;
  /**
   * Writes an inventory that is on another cluster too and ends the operation, under its fence and if that cluster has room,
   * in one transaction. It counts as taken there from then on.
   */
  takeRoom(id: string, fence: number, wanted: RoomWanted): Promise<"taken" | "full" | "overtaken">;
  /** Writes what was observed, unless an operation is in flight. */
  observe(id: string, changes: Changes): Promise<boolean>;
  /** Notes activity. Never moves backwards. */
  touch(id: string, at: number): Promise<void>;
  /** Deletes a record, under its fence, and lets its uid be used again after all others. */
  remove(id: string, fence: number): Promise<boolean>;
}

/** Makes the queries of `installation`, which find and touch nothing of another. */
export function makeEnvironmentQueries(engine: Engine, clock: Clock, installation: string): Environments {
  const database = engine.kysely;
  const first = async (where: Partial<EnvironmentRow>): Promise<EnvironmentRecord | undefined> => {
    const row = await selectWhere(database, { ...where, installation }).executeTakeFirst();
    return row === undefined ? undefined : toRecord(row);
  };
  const change = (id: string, guard: Guard, columns: Columns): Promise<boolean> =>
    write(database, { ...guard, id, installation }, columns);
  const exclusively = <Result>(work: (transaction: Transaction<Tables>) => Promise<Result>): Promise<Result> =>
    engine.exclusively(lockOfRoom(installation), work);
  return {
    add: (environment, allowance) =>
      exclusively((transaction) => add(transaction, { environment, allowance, installation, now: clock.now() })),
    findByLogin: (person, login) => first({ person, login, desired: "present" }),
    findByPlace: (person, repository, branch) => first({ person, repository, branch, desired: "present" }),
    find: (id) => first({ id }),
    list: async (filter = {}) => {
      const rows = await selectWhere(database, { ...filter, installation }).execute();
      // Here, since how a database sorts text depends on how it was set up.
      return rows
        .map(toRecord)
        .sort((one, other) => compare(one.person, other.person) || compare(one.login, other.login));
    },
    countByCluster: () => countByCluster(database, installation),
    begin: async (id, operation) => {
      const row = await database
        .updateTable("environments")
        .set((expression) => ({ operation, fence: expression("fence", "+", 1) }))
        .where("id", "=", id)
        .where("installation", "=", installation)
        .returningAll()
        .executeTakeFirst();
      if (row === undefined) throw new Fault("environment.absent", `Cannot begin ${operation} "${id}": no such record`);
      return toRecord(row);
    },
    update: (id, fence, changes) => change(id, { fence }, toColumns(changes)),
    end: (id, fence, changes) => change(id, { fence }, { ...toColumns(changes), operation: null }),
    takeRoom: (id, fence, { inventory, ...room }) =>
      exclusively(async (transaction) => {
        if (!(await hasRoom(transaction, installation, room))) return "full";
        const columns = { ...toColumns({ inventory }), operation: null };
        return (await write(transaction, { id, installation, fence }, columns)) ? "taken" : "overtaken";
      }),
    observe: (id, changes) => change(id, { operation: null }, toColumns(changes)),
    touch: async (id, at) => {
      await change(id, {}, toColumns({ lastActiveAt: at }));
    },
    remove: (id, fence) =>
      exclusively((transaction) => remove(transaction, { id, installation, fence, now: clock.now() })),
  };
}

function selectWhere(database: Kysely<Tables>, where: Partial<EnvironmentRow>) {
  let query = database.selectFrom("environments").selectAll();
  for (const column of ["id", "installation", "person", "repository", "branch", "login", "desired"] as const) {
    const value = where[column];
    if (value !== undefined) query = query.where(column, "=", value);
  }
  return query;
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

interface Addition {
  readonly environment: NewEnvironment;
  readonly allowance: Allowance;
  readonly installation: string;
  readonly now: number;
}

async function add(
  transaction: Transaction<Tables>,
  { environment, allowance, installation, now }: Addition,
): Promise<Added> {
  const { person, repository, branch } = environment;
  const present = selectWhere(transaction, { installation, person, desired: "present" });
  const rows = await present.orderBy("last_active_at").execute();
  const taken = rows.find((row) => row.repository === repository && row.branch === branch);
  if (taken !== undefined) return { outcome: "exists", record: toRecord(taken) };
  if (rows.length >= allowance.perPerson) return { outcome: "limit", present: rows.map(toRecord) };
  const { cluster = "local" } = environment;
  if (!(await hasRoomForNew(transaction, installation, { id: environment.id, cluster, capacity: allowance.capacity })))
    return { outcome: "full" };
  const row: EnvironmentRow = {
    id: environment.id,
    installation,
    person,
    repository,
    repository_name: environment.repositoryName ?? repository,
    branch,
    login: environment.login,
    from_branch: environment.fromBranch ?? null,
    uid: await takeUid(transaction, installation, allowance),
    hostname: environment.hostname,
    cluster,
    desired: "present",
    power: "sleeping",
    operation: null,
    fence: 0,
    conditions: "[]",
    inventory: JSON.stringify(environment.inventory),
    definition: null,
    created_at: now,
    last_active_at: now,
  };
  await transaction.insertInto("environments").values(row).execute();
  return { outcome: "added", record: toRecord(row) };
}

interface Removal {
  readonly id: string;
  readonly installation: string;
  readonly fence: number;
  readonly now: number;
}

async function remove(transaction: Transaction<Tables>, { id, installation, fence, now }: Removal): Promise<boolean> {
  const row = await transaction
    .deleteFrom("environments")
    .where("id", "=", id)
    .where("installation", "=", installation)
    .where("fence", "=", fence)
    .returning("uid")
    .executeTakeFirst();
  if (row === undefined) return false;
  await freeUid(transaction, installation, { uid: row.uid, freedAt: now });
  return true;
}

/** What must hold for a write to be made. */
interface Guard {
  readonly fence?: number;
  readonly operation?: null;
}

async function write(
  database: Kysely<Tables>,
  where: Guard & { readonly id: string; readonly installation: string },
  columns: Updateable<EnvironmentRow>,
): Promise<boolean> {
  const { last_active_at: lastActiveAt, ...others } = columns;
  const { id, installation } = where;
  let query = database.updateTable("environments").where("id", "=", id).where("installation", "=", installation);
  if (where.fence !== undefined) query = query.where("fence", "=", where.fence);
  if (where.operation === null) query = query.where("operation", "is", null);
  const active = lastActiveAt === undefined ? {} : { last_active_at: latest(lastActiveAt) };
  // "id = id" keeps the statement whole when there is nothing to write but the guard to ask.
  const result = await query.set({ id, ...others, ...active }).executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

function latest(at: number) {
  return sql<number>`case when last_active_at > ${at} then last_active_at else ${at} end`;
}

interface Columns {
  desired?: "absent";
  cluster?: string;
  power?: EnvironmentRow["power"];
  conditions?: string;
  inventory?: string;
  definition?: string | null;
  operation?: null;
  last_active_at?: number;
}

function toColumns(changes: Changes): Columns {
  const columns: Columns = {};
  if (changes.desired !== undefined) columns.desired = changes.desired;
  if (changes.cluster !== undefined) columns.cluster = changes.cluster;
  if (changes.power !== undefined) columns.power = changes.power;
  if (changes.conditions !== undefined) columns.conditions = JSON.stringify(changes.conditions);
  if (changes.inventory !== undefined) columns.inventory = JSON.stringify(changes.inventory);
  if (changes.definition !== undefined) {
    columns.definition = changes.definition === null ? null : JSON.stringify(changes.definition);
  }
  if (changes.lastActiveAt !== undefined) columns.last_active_at = changes.lastActiveAt;
  return columns;
}

function toRecord(row: EnvironmentRow): EnvironmentRecord {
  try {
    return {
      id: row.id,
      person: row.person,
      repository: row.repository,
      repositoryName: row.repository_name === "" ? row.repository : row.repository_name,
      branch: row.branch,
      login: row.login,
      fromBranch: row.from_branch ?? undefined,
      uid: row.uid,
      hostname: row.hostname,
      cluster: row.cluster,
      desired: row.desired,
      power: row.power,
      operation: toOperation(row.operation),
      fence: row.fence,
      conditions: checkConditions(row.conditions),
      inventory: checkInventory(row.inventory),
      definition: row.definition === null ? undefined : checkStoredDefinition(row.definition),
      createdAt: row.created_at,
      lastActiveAt: row.last_active_at,
    };
  } catch (cause) {
    throw new Fault("state.damaged", `Cannot read the record of environment "${row.id}": it has another shape`, {
      cause,
    });
  }
}

const operations: readonly Operation[] = ["starting", "sleeping", "destroying", "moving"];

function toOperation(text: string | null): Operation | undefined {
  if (text === null) return undefined;
  const operation = operations.find((known) => known === text);
  if (operation === undefined) throw new Error(`Cannot read operation "${text}": not one of ${operations.join(", ")}`);
  return operation;
}
