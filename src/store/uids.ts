/**
 * Which uid each environment has, of those that an installation may give out.
 *
 * Called by `environments.ts`, inside of its transactions.
 *
 * @module
 */
import { sql, type Transaction } from "kysely";
import { Fault } from "../base/fault.ts";
import type { Tables } from "./schema.ts";

/** The uids there are. */
export interface UidRange {
  readonly firstUid: number;
  readonly uidCount: number;
}

/** The lowest uid never used; when there is none, the one freed longest ago: files left behind meet no new owner soon. */
export async function takeUid(
  transaction: Transaction<Tables>,
  installation: string,
  { firstUid, uidCount }: UidRange,
): Promise<number> {
  const endUid = firstUid + uidCount;
  const { rows } = await sql<{ uid: number }>`
    with used as (
      select uid from environments where installation = ${installation} union select uid from freed_uids where installation = ${installation}
    )
    select min(candidate) as uid
    from (
      select cast(${firstUid} as integer) as candidate union select uid + 1 from used where uid >= ${firstUid}
    ) as candidates
    where candidate < ${endUid} and candidate not in (select uid from used)
    having min(candidate) is not null`.execute(transaction);
  const fresh = rows[0]?.uid;
  if (fresh !== undefined) return fresh;
  const freed = await transaction
    .selectFrom("freed_uids")
    .select("uid")
    .where("installation", "=", installation)
    .where("uid", ">=", firstUid)
    .where("uid", "<", endUid)
    .orderBy("freed_at")
    .orderBy("uid")
    .limit(1)
    .executeTakeFirst();
  if (freed === undefined) {
    throw new Fault("machine.full", `Cannot add an environment: all ${uidCount} uids from ${firstUid} are in use`);
  }
  await transaction
    .deleteFrom("freed_uids")
    .where("installation", "=", installation)
    .where("uid", "=", freed.uid)
    .execute();
  return freed.uid;
}

/** Gives a uid back. */
export async function freeUid(
  transaction: Transaction<Tables>,
  installation: string,
  { uid, freedAt }: { readonly uid: number; readonly freedAt: number },
): Promise<void> {
  await transaction.insertInto("freed_uids").values({ installation, uid, freed_at: freedAt }).execute();
}
