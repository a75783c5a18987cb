/**
 * Ends every process of an environment, and what hangs on them: its groups and its end of the network.
 *
 * @module
 */
import { readGroupPids, removeGroups } from "./control-groups.ts";
import type { Host } from "./host.ts";
import type { Place } from "./layout.ts";
import { isAlive, sendSignal } from "./processes.ts";
import type { ProcessName } from "./processes.ts";
import { readState, removeState } from "./stored.ts";

/** What `init.sh` takes at most to end everything inside in good order, and a little. */
const GRACE_MS = 2_500;

/** A killed process that is still there after this hangs in the kernel, and nobody can do anything about it. */
const LONGEST_MS = 30_000;

/** Ends an environment however far it came, and returns when nothing of it runs any more. */
export async function stopAll(host: Host, place: Place): Promise<void> {
  const state = readState(place);
  if (state !== undefined) {
    // Process 1 of a namespace takes all others with it. Of a start that nobody waits for, nothing is worth a grace.
    if (state.phase === "running") {
      sendIfAlive(host, state.holder, "SIGTERM");
      await untilGone(host, state.holder, GRACE_MS);
    }
    sendIfAlive(host, state.holder, "SIGKILL");
    if (!(await untilGone(host, state.holder, LONGEST_MS)))
      throw new Error(`Cannot stop ${place.id}: process 1 does not end`);
  }
  // What a damaged state names no more, and what enters just now.
  for (const pid of (await readGroupPids(host.groups, place.id)) ?? []) sendSignal(pid, "SIGKILL");
  await host.network.detach(place.id);
  await removeGroups(host.groups, place.id, host.clock);
  host.network.release(place.id);
  removeState(place);
}

function sendIfAlive(host: Host, holder: ProcessName, signal: NodeJS.Signals): void {
  if (isAlive(holder, host.bootId)) sendSignal(holder.pid, signal);
}

/** Looks until the process has ended or `waitMs` milliseconds are over; says whether it has. */
async function untilGone({ clock, bootId }: Host, holder: ProcessName, waitMs: number): Promise<boolean> {
  const deadline = clock.elapsed() + waitMs;
  while (isAlive(holder, bootId)) {
    if (clock.elapsed() > deadline) return false;
    await clock.sleep(5);
  }
  return true;
}
