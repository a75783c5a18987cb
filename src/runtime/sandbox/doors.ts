/**
 * Keeps a way into each running environment open: a process that has joined its groups and namespaces, has dropped all
 * privileges, and waits for a connection to start `sshd` for.
 *
 * Joining a control group alone takes 7 to 17 ms (the kernel waits for an RCU grace period; measured 2026-11), which a
 * person would wait for at every connect. One door waits at a time; connections that come at once open their own. That of
 * an environment that is being started joins while the namespaces are made, and enters them when it is told of them.
 *
 * @module
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { Socket } from "node:net";

import type { EnvironmentSpec } from "../runtime.ts";
import { joinFiles } from "./control-groups.ts";
import type { Host } from "./host.ts";
import { scriptPath, takeSocket } from "./launch.ts";
import { INSIDE } from "./layout.ts";
import { dropWords, enterToldWords } from "./privileges.ts";
import { isAlive } from "./processes.ts";
import type { ProcessName } from "./processes.ts";
import { collect, MACHINE_ENV } from "../program.ts";
import type { Running } from "./stored.ts";

/** One that has not been told which namespaces to enter. */
interface Begun {
  readonly child: ChildProcess;
  /** Input and output of the process. */
  readonly stream: Socket;
  /** What sshd said to the log so far. */
  readonly said: () => string;
}

export interface Door extends Begun {
  /** Process whose namespaces it is in. */
  readonly holder: ProcessName;
}

export interface Doors {
  /**
   * Begins to open one for an environment whose groups are there and whose namespaces are being made.
   *
   * @returns a function that closes it, for when they cannot be made
   */
  begin(spec: EnvironmentSpec): () => void;
  /** Opens one ahead of the next connection, unless one waits; finishes what was begun. */
  prepare(spec: EnvironmentSpec, state: Running): void;
  /** Hands over the one that waits, or a new one. */
  take(spec: EnvironmentSpec, state: Running): Door;
  /** Closes the one that waits, and the one that was begun. */
  close(id: string): void;
}

/** How long after a connection the next door is opened: not while that connection needs the processor. Guess. */
const REOPEN_MS = 300;

/** What sshd may say to the log in one connection. */
const SAID_BYTES = 16 * 1024;

/** Makes the keeper of doors. */
export function makeDoors(host: Host): Doors {
  const waiting = new Map<string, Door>();
  const begun = new Map<string, Begun>();
  // Whose environments are not being stopped: a door opened then would only hold up the end.
  const wanted = new Set<string>();
  const prepare = (spec: EnvironmentSpec, state: Running) => {
    wanted.add(spec.id);
    const old = waiting.get(spec.id);
    if (old?.holder.startTime === state.holder.startTime) return;
    old?.stream.destroy();
    const half = begun.get(spec.id);
    begun.delete(spec.id);
    const isOpen = half?.child.exitCode === null && half.child.signalCode === null;
    const door = lead(isOpen ? half : beginDoor(host, spec), state.holder);
    waiting.set(spec.id, door);
    keepAliveBy(door, false);
    // It ends with the environment, or because a person killed it.
    door.child.once("exit", () => {
      if (waiting.get(spec.id) === door) waiting.delete(spec.id);
    });
  };
  const close = (id: string) => {
    wanted.delete(id);
    for (const doors of [waiting, begun]) {
      doors.get(id)?.stream.destroy();
      doors.delete(id);
    }
  };
  return {
    begin: (spec) => {
      begun.set(spec.id, beginDoor(host, spec));
      return () => close(spec.id);
    },
    prepare,
    take: (spec, state) => {
      const ready = waiting.get(spec.id);
      waiting.delete(spec.id);
      const door =
        ready?.holder.startTime === state.holder.startTime ? ready : lead(beginDoor(host, spec), state.holder);
      keepAliveBy(door, true);
      wanted.add(spec.id);
      host.clock.after(REOPEN_MS, () => {
        if (wanted.has(spec.id) && isAlive(state.holder, host.bootId)) prepare(spec, state);
      });
      return door;
    },
    close,
  };
}

/** Tells it which namespaces to enter. */
function lead(door: Begun, holder: ProcessName): Door {
  door.stream.write(`${holder.pid}\n`);
  return { ...door, holder };
}

function beginDoor(host: Host, spec: EnvironmentSpec): Begun {
  const { identity } = host.machine;
  const inside = [...enterToldWords(identity), ...dropWords(identity, spec.uid), "sh", `${INSIDE}/door.sh`];
  const words = [scriptPath("enter.sh"), "stream", ...joinFiles(host.groups, spec.id), "--", ...inside];
  // A session of its own: a Ctrl-C at the service's terminal is not for connections, which are told before they are cut.
  const child = spawn("/bin/bash", words, {
    cwd: "/",
    env: MACHINE_ENV,
    detached: true,
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  child.once("error", (error) => host.log.error("sandbox.door-failed", error, { environment: spec.id }));
  const stream = takeSocket(child);
  const said = child.stderr === null ? () => "" : collect(child.stderr, SAID_BYTES);
  return { child, stream, said };
}

/** Says whether a door is a reason for the service not to end: one that waits is none. */
function keepAliveBy({ child, stream }: Door, isReason: boolean): void {
  const sockets = [stream, child.stderr].filter((socket) => socket instanceof Socket);
  for (const holder of [child, ...sockets]) {
    if (isReason) holder.ref();
    else holder.unref();
  }
}
