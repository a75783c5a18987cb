/**
 * Starts an `sshd -i` inside a running environment: `Runtime.connect`.
 *
 * @module
 */
import { rmSync } from "node:fs";
import { join } from "node:path";

import type { EnvironmentSpec, Reach, SessionSpec } from "../runtime.ts";
import { makeBaseEnv } from "../command-file.ts";
import { makeSshdConfig } from "../sshd-config.ts";
import { isOutOfProcesses } from "./control-groups.ts";
import type { Door, Doors } from "./doors.ts";
import type { Host } from "./host.ts";
import { INSIDE } from "./layout.ts";
import type { Place } from "./layout.ts";
import { findForeground, findSessionLeaders, isOfChannel, sendSignal } from "./processes.ts";
import type { Stat } from "./processes.ts";
import { readHostKey, writePrivate } from "./skeleton.ts";
import type { Running } from "./stored.ts";

export interface ConnectOptions {
  readonly doors: Doors;
  readonly spec: EnvironmentSpec;
  readonly state: Running;
  readonly session: SessionSpec;
  /** Reads what runs in the environment. */
  readonly readAll: () => Promise<Stat[]>;
}

/** Starts it and hands over its stream at once: what fails later ends the stream. */
export function openReach(host: Host, place: Place, options: ConnectOptions): Reach {
  const { doors, spec, state, session, readAll } = options;
  const name = join("sessions", encodeURIComponent(session.sessionId).slice(0, 200));
  const config = makeSshdConfig(SSHD, makeBaseEnv(state.start, session.env));
  writePrivate(join(place.inside, name), config, { uid: spec.uid, machine: host.machine });
  const door = doors.take(spec, state);
  const { child, stream } = door;
  stream.write(`${join(INSIDE, name)}\n`);
  child.once("exit", (exitCode) => {
    rmSync(join(place.inside, name), { force: true });
    host.log.debug("sandbox.sshd-ended", { environment: place.id, exitCode, said: door.said() });
  });
  const end = async () => {
    hangUp(door, await readAll());
    stream.destroy();
  };
  let ending: Promise<void> | undefined;
  return {
    stream,
    hostKey: readHostKey(place),
    user: state.start.user,
    trouble: () => (isOutOfProcesses(host.groups, place.id, spec.limits) ? OUT_OF_PROCESSES : undefined),
    end: () => (ending ??= end()),
  };
}

const SSHD = {
  hostKeyFile: `${INSIDE}/ssh/host_ed25519`,
  authorizedKeysFile: `${INSIDE}/ssh/authorized_keys`,
  sftpFolder: `${INSIDE}/workspace`,
};

const OUT_OF_PROCESSES =
  "the environment has used up all the processes it may have; end them with: ssh slip@host sleep <login>" +
  " (files stay, and the next login wakes it)";

/**
 * Tells foreground commands that their connection is over. sshd itself does so for those with a terminal only; the
 * others would go on for ever. Those whose sshd was killed are found by their first process having taken them in.
 */
function hangUp({ child, holder }: Door, processes: readonly Stat[]): void {
  const isRunning = child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  const leaders = isRunning ? findSessionLeaders(processes, child.pid) : [];
  const orphans = processes.filter((stat) => stat.parent === holder.pid && isOfChannel(stat, holder));
  for (const leader of [...leaders, ...orphans]) {
    for (const { pid } of findForeground(leader, processes)) sendSignal(pid, "SIGHUP");
  }
}
