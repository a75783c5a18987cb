/**
 * What a move leaves: the old place of an environment that was moved, the new one of one that was not.
 *
 * Called by `migrate.ts` at the end of a move, by `adopt.ts` again and again, whatever ended the one before, and by
 * `remove.ts`. It goes by the inventory: a cluster that is away keeps what is to go there from being forgotten.
 *
 * @module
 */
import type { EnvironmentRecord } from "../store/environments.ts";
import { otherClusters } from "../wire/environment.ts";
import type { Context } from "./context.ts";
import type { Entries, Entry } from "./entries.ts";

/** Destroys what a move left of an environment, unless it is being moved now. Never rejects: what fails is tried again. */
export async function clearMoved(context: Context, entries: Entries, id: string): Promise<void> {
  const entry = entries.of(id);
  if (entry.isMoving || entry.clearing !== undefined) return;
  const clearing = clear(context, entry).catch((error: unknown) => {
    context.log.warn("environment.not-cleared", { environment: id, err: error });
  });
  entry.clearing = clearing.finally(() => {
    entry.clearing = undefined;
  });
  await entry.clearing;
}

async function clear({ clusters, store, log }: Context, entry: Entry): Promise<void> {
  const { id } = entry;
  const record = await store.find(id);
  if (record === undefined) return;
  const left = otherClusters(record);
  for (const cluster of left) {
    if (entry.isMoving) return;
    await clusters?.at(cluster).destroy(id, record.fence);
    log.info("environment.left-behind-destroyed", { environment: id, cluster });
  }
  // Whoever opens it writes the inventory that they found.
  await entry.opening?.done.catch(() => undefined);
  const now = await store.find(id);
  if (now === undefined || left.length === 0) return;
  const inventory = now.inventory.filter(({ cluster = "" }) => !left.includes(cluster));
  // Refused while an operation is in flight; then the next look does it.
  await store.observe(id, { inventory });
}

/** Destroys it before the record is forgotten. @throws what destroying throws */
export async function destroyLeft({ clusters }: Context, record: EnvironmentRecord): Promise<void> {
  for (const cluster of otherClusters(record)) await clusters?.at(cluster).destroy(record.id, record.fence);
}
