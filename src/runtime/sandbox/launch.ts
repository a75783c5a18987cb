/**
 * Brings up the namespaces of an environment and runs one command as their first process: `init.sh`, or a command in
 * passing when the environment does not run.
 *
 * The service and the first process talk over one socket (see `setup.sh`). The process waits until the service has
 * written down who it is, so that no crash leaves one behind that nobody knows.
 *
 * @module
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";

import { Fault } from "../../base/fault.ts";
import type { Place } from "./layout.ts";
import { readStatLine, sendSignal } from "./processes.ts";
import type { ProcessName } from "./processes.ts";
import { unshareWords } from "./privileges.ts";
import type { Identity } from "./privileges.ts";
import { MACHINE_ENV } from "../program.ts";
import { writeState } from "./stored.ts";

export interface LaunchOptions {
  readonly place: Place;
  readonly identity: Identity;
  readonly hostname: string;
  /** `cgroup.procs` files of the groups to put it into. */
  readonly groups: readonly string[];
  /** File for `ip -batch` in the new network namespace, "" for none. */
  readonly batchFile: string;
  readonly bootId: string;
  /** Run as soon as the network namespace exists, beside the mounting; the command starts after it. */
  readonly makeNetwork: (pid: number) => Promise<void>;
  /** What the first process becomes, privileges dropped by its first words. */
  readonly command: readonly string[];
  /** Where its output goes: a descriptor, or a pipe to read. */
  readonly output: number | "pipe";
}

export interface Launched {
  readonly holder: ProcessName;
  readonly child: ChildProcess;
  /** Descriptor 3 of the command. */
  readonly control: Socket;
  /** Next line the command writes there; `undefined` when it has ended. */
  readonly nextLine: () => Promise<string | undefined>;
  /** What the setup said after the last line that was read: it failed on its last steps if anything. */
  readonly unread: () => string;
  /** Resolves with the exit code when all is over. */
  readonly ended: Promise<number>;
}

/** What a first process may have said that nobody has read yet, in bytes; its few lines are far shorter. */
const UNREAD_BYTES = 64 * 1024;

/** Path of a script of ours on this machine. */
export function scriptPath(name: string): string {
  return join(import.meta.dirname, name);
}

/**
 * Starts it and returns when what the service has to do is done; the last steps are the first process's own. Kills what
 * it started when `signal` aborts or a step fails.
 *
 * @throws {Fault} `runtime.failed` with what the failing program said
 */
export async function launch(options: LaunchOptions, signal: AbortSignal): Promise<Launched> {
  signal.throwIfAborted();
  const { child, control } = begin(options);
  const ended = new Promise<number>((resolve) => {
    child.once("exit", (code) => resolve(code ?? 128));
    child.once("error", () => resolve(127)); // no process could be made; the socket has ended, which is told below
  });
  const { nextLine, unread } = makeLineReader(control);
  const self = readStatLine((await expectLine(nextLine, "self ")).slice("self ".length));
  if (self === undefined) throw new Error("Cannot start an environment: its first process has no stat line");
  const holder = { pid: self.pid, startTime: self.startTime, bootId: options.bootId };
  const kill = () => sendSignal(holder.pid, "SIGKILL");
  signal.addEventListener("abort", kill);
  try {
    signal.throwIfAborted();
    writeState(options.place, { phase: "starting", holder });
    control.write("go\n");
    // Joining a group waits for all processors to have looked up once (7 ms here): as long as the mounts take.
    const joined = Promise.all(options.groups.map(async (file) => writeFile(file, String(holder.pid))));
    joined.catch(() => {}); // told below
    await options.makeNetwork(holder.pid);
    control.write("net\n");
    await joined;
    signal.throwIfAborted();
    control.write("limits\n");
    return { holder, child, control, nextLine, unread, ended };
  } catch (error) {
    kill();
    await ended;
    signal.throwIfAborted();
    // What the first process said before it ended tells more than that it could not be found any more.
    if (unread() === "" || error instanceof Fault) throw error;
    throw new Fault("runtime.failed", `Cannot start an environment: ${unread().trim()}`, { cause: error });
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

function begin(options: LaunchOptions): { child: ChildProcess; control: Socket } {
  const { place, identity, output, hostname, batchFile, command } = options;
  const setup = ["/bin/sh", scriptPath("setup.sh"), place.mountTable, place.root, hostname, batchFile, ...command];
  const words = [scriptPath("enter.sh"), "keep", "--", ...unshareWords(identity), ...setup];
  // A session of its own: a Ctrl-C at the service's terminal is not for environments.
  const child = spawn("/bin/bash", words, {
    cwd: "/",
    env: MACHINE_ENV,
    detached: true,
    stdio: ["ignore", output, output, "pipe"],
  });
  return { child, control: takeSocket(child) };
}

/** The socket that Node puts at descriptor 3 of a child. It outlives the child's end of it by what is still unread. */
export function takeSocket(child: ChildProcess): Socket {
  const stream = child.stdio[3];
  if (!(stream instanceof Socket)) throw new Error("Cannot talk to a child: descriptor 3 is no socket");
  stream.allowHalfOpen = true;
  stream.on("error", () => {}); // EPIPE and ECONNRESET: the child has ended, which is seen by its exit
  return stream;
}

/** Reads until a line begins as wanted; what comes in its stead is the reason of a failure. */
export async function expectLine(nextLine: () => Promise<string | undefined>, wanted: string): Promise<string> {
  const others: string[] = [];
  for (;;) {
    const line = await nextLine();
    if (line?.startsWith(wanted) === true) return line;
    if (line === undefined) {
      throw new Fault(
        "runtime.failed",
        `Cannot start an environment: it ended before "${wanted.trim()}": ${others.join("; ")}`,
      );
    }
    if (others.length < 20) others.push(line.slice(0, 500));
  }
}

/** Reads lines of a socket. Programs inside can get hold of its other end: one that says too much is cut off. */
export function makeLineReader(socket: Socket): Pick<Launched, "nextLine" | "unread"> {
  let text = "";
  let isOver = false;
  let wake = () => {};
  socket.on("data", (chunk: Buffer) => {
    if (text.length + chunk.length > UNREAD_BYTES) socket.destroy();
    else text += chunk.toString("latin1");
    wake();
  });
  socket.on("close", () => {
    isOver = true;
    wake();
  });
  socket.on("end", () => socket.destroy());
  const nextLine = async () => {
    for (;;) {
      const end = text.indexOf("\n");
      if (end >= 0) {
        const line = text.slice(0, end);
        text = text.slice(end + 1);
        return line;
      }
      if (isOver) return undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return { nextLine, unread: () => text };
}
