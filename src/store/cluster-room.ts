/**
 * How much of each cluster is taken: environments, whatever is wanted of them, what is moved to it or not yet cleared away
 * from it, and members of pools.
 *
 * Called by `environments.ts` and `pools.ts`.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";
import { checkInventory, otherClusters } from "../wire/environment.ts";
import type { Tables } from "./schema.ts";

/** The lock of whoever takes room, environments and members alike: what was counted is so until it is written. */
export function lockOfRoom(installation: string): string {
  return `environments ${installation}`;
}

/** Counts what is on each. A member that was claimed and the environment that it became have one id, and count as one. */
export async function countByCluster(
  database: Kysely<Tables>,
  installation: string,
): Promise<ReadonlyMap<string, number>> {
  const { rows } = await sql<{ cluster: string; count: number }>`
    select cluster, count(*) as count
    from (
      select id, cluster from environments where installation = ${installation}
      union select id, cluster from pool_members where installation = ${installation}
    ) as present
    group by cluster`.execute(database);
  const counts = new Map(rows.map(({ cluster, count }) => [cluster, count]));
  for (const cluster of await findOthers(database, installation)) counts.set(cluster, (counts.get(cluster) ?? 0) + 1);
  return counts;
}

/** Where there are environments whose record names another cluster. */
async function findOthers(database: Kysely<Tables>, installation: string): Promise<string[]> {
  const rows = await database
    .selectFrom("environments")
    .select(["cluster", "inventory"])
    .where("installation", "=", installation)
    .where("inventory", "like", '%"cluster"%"cluster"%') // the few that are in two places
    .execute();
  return rows.flatMap(({ cluster, inventory }) => otherClusters({ cluster, inventory: checkInventory(inventory) }));
}

/** What is to be put on a cluster. */
export interface Wanted {
  readonly cluster: string;
  /** Of the cluster. */
  readonly capacity: number;
}

/** Says whether there is room for one more. */
export async function hasRoom(
  database: Kysely<Tables>,
  installation: string,
  { cluster, capacity }: Wanted,
): Promise<boolean> {
  return ((await countByCluster(database, installation)).get(cluster) ?? 0) < capacity;
}

/** Says whether there is room for a new environment; one that a member becomes was counted already. */
export async function hasRoomForNew(
  database: Kysely<Tables>,
  installation: string,
  { id, cluster, capacity }: { readonly id: string; readonly cluster: string; readonly capacity: number | undefined },
): Promise<boolean> {
  if (capacity === undefined) return true;
  const members = database.selectFrom("pool_members").select("id").where("installation", "=", installation);
  if ((await members.where("id", "=", id).executeTakeFirst()) !== undefined) return true;
  return hasRoom(database, installation, { cluster, capacity });
}
