/**
 * Starts an `sshd -i` inside a running environment: `Runtime.connect`.
 *
 * Four programs become one another: `sh` joins the groups, `nsenter` the namespaces, `setpriv` drops all privileges,
 * `sshd` speaks. One socket is its input and output.
 *
 * @module
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";

import type { EnvironmentSpec, Reach, SessionSpec } from "../runtime.ts";
import { makeBaseEnv } from "./command-file.ts";
import { joinFiles, readGroupPids } from "./control-groups.ts";
import type { Host } from "./host.ts";
import { scriptPath, takeSocket } from "./launch.ts";
import { INSIDE } from "./layout.ts";
import type { Place } from "./layout.ts";
import { dropWords, enterWords } from "./privileges.ts";
import { findSessionLeaders, readProcesses, sendSignal } from "./processes.ts";
import { collect, MACHINE_ENV } from "./program.ts";
import { readHostKey, writePrivate } from "./skeleton.ts";
import { makeSshdConfig } from "./sshd-config.ts";
import type { State } from "./stored.ts";

/** What sshd may say to the log in one connection. */
const STDERR_BYTES = 16 * 1024;

export interface ConnectOptions {
  readonly spec: EnvironmentSpec;
  readonly state: Extract<State, { phase: "running" }>;
  readonly session: SessionSpec;
}

/** Starts it and hands over its stream at once: what fails later ends the stream. */
export function openReach(host: Host, place: Place, { spec, state, session }: ConnectOptions): Reach {
  const name = join("sessions", encodeURIComponent(session.sessionId).slice(0, 200));
  const config = makeSshdConfig(makeBaseEnv(state.start, session.env));
  writePrivate(join(place.inside, name), config, { uid: spec.uid, machine: host.machine });
  const { identity } = host.machine;
  const sshd = ["/usr/sbin/sshd", "-i", "-e", "-f", join(INSIDE, name)];
  const inside = [...enterWords(identity, state.holder.pid), ...dropWords(identity, spec.uid), ...sshd];
  const words = [scriptPath("enter.sh"), "stream", ...joinFiles(host.groups, place.id), "--", ...inside];
  const child = spawn("/bin/sh", words, {
    cwd: "/",
    env: MACHINE_ENV,
    detached: true,
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  const stream = takeSocket(child);
  logEnd(host, place, child);
  child.once("exit", () => rmSync(join(place.inside, name), { force: true }));
  const end = async () => {
    if (!stream.destroyed && child.pid !== undefined) await hangUp(host, place.id, child.pid);
    stream.destroy();
  };
  let ending: Promise<void> | undefined;
  return { stream, hostKey: readHostKey(place), user: state.start.user, end: () => (ending ??= end()) };
}

/**
 * Tells foreground commands that their connection is over. sshd itself does so for those with a terminal only; the
 * others would go on for ever.
 */
async function hangUp(host: Host, id: string, top: number): Promise<void> {
  const pids = await readGroupPids(host.groups, id);
  for (const { pid } of findSessionLeaders(await readProcesses(pids), top)) sendSignal(-pid, "SIGHUP");
}

function logEnd({ log }: Host, place: Place, child: ChildProcess): void {
  if (child.stderr === null) return;
  const said = collect(child.stderr, STDERR_BYTES);
  child.once("exit", (exitCode) => log.debug("sandbox.sshd-ended", { environment: place.id, exitCode, said: said() }));
  child.once("error", (error) => log.error("sandbox.sshd-failed", error, { environment: place.id }));
}
