/**
 * How much of each cluster is taken: environments, whatever is wanted of them, and members of pools.
 *
 * Called by `environments.ts`.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";
import type { Tables } from "./schema.ts";

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
  return new Map(rows.map(({ cluster, count }) => [cluster, count]));
}

/** What is to be put on a cluster. */
export interface Wanted {
  readonly id: string;
  readonly cluster: string;
  /** Of the cluster; any number when absent. */
  readonly capacity: number | undefined;
}

/** Says whether there is room for an environment; one that a member becomes was counted already. */
export async function hasRoom(
  database: Kysely<Tables>,
  installation: string,
  { id, cluster, capacity }: Wanted,
): Promise<boolean> {
  if (capacity === undefined) return true;
  const members = database.selectFrom("pool_members").select("id").where("installation", "=", installation);
  if ((await members.where("id", "=", id).executeTakeFirst()) !== undefined) return true;
  return ((await countByCluster(database, installation)).get(cluster) ?? 0) < capacity;
}
