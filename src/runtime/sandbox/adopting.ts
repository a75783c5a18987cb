/**
 * Takes over what an earlier service left behind, however it ended.
 *
 * @module
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

import { Fault } from "../../base/fault.ts";
import { readGroupPids } from "./control-groups.ts";
import type { Host } from "./host.ts";
import type { Place } from "./layout.ts";
import { findForeground, isAlive, isOfChannel, readProcesses, sendSignal } from "./processes.ts";
import type { ProcessName } from "./processes.ts";
import { writeAuthorizedKey } from "./skeleton.ts";
import { stopAll } from "./stopping.ts";
import { readState, removeState } from "./stored.ts";
import type { State } from "./stored.ts";

/** Keeps an environment that runs, and clears away what remains of one that was starting or has ended. */
export async function adopt(host: Host, place: Place, gatewayKey: string): Promise<void> {
  // Of connections and commands whose service is gone.
  for (const folder of ["sessions", "commands"]
    .map((name) => join(place.inside, name))
    .filter((path) => existsSync(path))) {
    for (const name of readdirSync(folder)) rmSync(join(folder, name), { force: true });
  }
  if (existsSync(join(place.inside, "ssh"))) writeAuthorizedKey(place, gatewayKey);
  const state = readStateOrNone(host, place);
  if (state?.phase === "running" && isAlive(state.holder, host.bootId)) {
    if (state.addressIndex !== undefined) await host.network.repair(place.id, state.addressIndex, state.holder.pid);
    await hangUp(host, place, state.holder);
    host.log.info("sandbox.adopted", { environment: place.id });
    return;
  }
  await stopAll(host, place);
}

/** Ends what ran in the foreground of connections whose service could not do it any more, as at the end of any connection. */
async function hangUp(host: Host, place: Place, holder: ProcessName): Promise<void> {
  const processes = await readProcesses(await readGroupPids(host.groups, place.id));
  for (const leader of processes.filter((stat) => isOfChannel(stat, holder))) {
    for (const { pid } of findForeground(leader, processes)) sendSignal(pid, "SIGHUP");
  }
}

/** A state that cannot be read names no process; those in the environment's groups are ended with the rest. */
function readStateOrNone({ log }: Host, place: Place): State | undefined {
  try {
    return readState(place);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    log.error("sandbox.state-damaged", error, { environment: place.id });
    removeState(place);
    return undefined;
  }
}
