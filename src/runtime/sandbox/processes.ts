/**
 * Looks at processes of this machine by `/proc`, and signals them only when they are still the ones that were meant.
 *
 * @module
 */
import { readFileSync, readlinkSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";

/** One line of `/proc/<pid>/stat`: proc(5). */
export interface Stat {
  readonly pid: number;
  readonly name: string;
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks after boot. With the pid it names a process for as long as the machine is up. */
  readonly startTime: number;
}

/** A process that outlives us, named so that a later process with the same pid is not mistaken for it. */
export interface ProcessName {
  readonly pid: number;
  readonly startTime: number;
  readonly bootId: string;
}

/** Reads one stat line; `undefined` when it is none. The name may hold anything, so fields are counted from its end. */
export function readStatLine(line: string): Stat | undefined {
  const open = line.indexOf("(");
  const close = line.lastIndexOf(")");
  const fields = line.slice(close + 2).split(" ");
  const [state, parent, group, session] = fields;
  const numbers = [line.slice(0, open), parent, group, session, fields[19]].map(Number);
  const [pid, parentId, groupId, sessionId, startTime] = numbers;
  if (open < 0 || close < 0 || state === undefined || numbers.some((value) => !Number.isSafeInteger(value)))
    return undefined;
  if (pid === undefined || parentId === undefined || groupId === undefined) return undefined;
  if (sessionId === undefined || startTime === undefined) return undefined;
  const name = line.slice(open + 1, close);
  return { pid, name, state, parent: parentId, group: groupId, session: sessionId, startTime };
}

/** Says which boot of the machine this is: random(4), boot_id. */
export function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Says whether a process still runs. A zombie does not: it holds nothing any more. */
export function isAlive(process: ProcessName, bootId: string): boolean {
  if (process.bootId !== bootId) return false;
  let line: string;
  try {
    line = readFileSync(`/proc/${process.pid}/stat`, "utf8");
  } catch {
    return false; // ENOENT, or ESRCH when it ends while being read
  }
  const stat = readStatLine(line);
  return stat?.startTime === process.startTime && stat.state !== "Z" && stat.state !== "X";
}

/** Reads the processes that exist now, or those of `pids`; what ends meanwhile is left out. */
export async function readProcesses(pids?: readonly number[]): Promise<Stat[]> {
  const wanted = pids ?? (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name));
  const lines = await Promise.all(wanted.map((pid) => readFile(`/proc/${pid}/stat`, "utf8").catch(() => "")));
  return lines.map(readStatLine).filter((stat) => stat !== undefined);
}

/**
 * Picks the sessions that hang on a connection: leaders of a session of their own whose parent is an `sshd` below `top`.
 * What put itself into another session (`setsid`, `tmux`) has another parent by then and is not found.
 */
export function findSessionLeaders(processes: readonly Stat[], top: number): Stat[] {
  const below = new Set([top]);
  // Parents are older than their children, though after a wrap of pids not lower: go round until nothing is added.
  for (let before = 0; before !== below.size;) {
    before = below.size;
    for (const { pid, parent, session } of processes) if (below.has(parent) && session !== pid) below.add(pid);
  }
  return processes.filter(({ pid, session, parent }) => session === pid && below.has(parent) && pid !== top);
}

/**
 * Says whether a process is what `sshd` started for a channel in the namespaces of `holder` (see `shell.sh`): what it
 * started itself has the variable too, but not the number.
 */
export function isOfChannel({ pid, session }: Stat, holder: ProcessName): boolean {
  if (pid !== session) return false;
  try {
    if (readlinkSync(`/proc/${pid}/ns/pid`) !== readlinkSync(`/proc/${holder.pid}/ns/pid`)) return false;
    const [, own] = /^NSpid:.*\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return readFileSync(`/proc/${pid}/environ`, "latin1")
      .split("\0")
      .includes(`SLIPWAY_CHANNEL=${own ?? ""}`);
  } catch {
    return false; // it ended while being read, or is nobody's that we may look at
  }
}

/**
 * Picks what runs in the foreground of a channel: its leader, and those of the leader's process group that read or write
 * where the leader does. A server put into the background with its streams elsewhere is none of it, though a shell without
 * job control leaves it in the group: editors start theirs so and find them again after the connection broke. `nohup` is
 * no help to them where the server, as Node does, takes back what it inherited of ignored signals.
 */
export function findForeground(leader: Stat, processes: readonly Stat[]): Stat[] {
  const channel = new Set(readStreams(leader.pid));
  return processes.filter(
    ({ pid, group }) =>
      pid === leader.pid || (group === leader.pid && readStreams(pid).some((stream) => channel.has(stream))),
  );
}

/** Names the pipes, sockets and terminals that are the standard streams of a process: proc(5), /proc/pid/fd. */
function readStreams(pid: number): string[] {
  const links = [0, 1, 2].map((descriptor) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${descriptor}`);
    } catch {
      return ""; // closed, or the process ended
    }
  });
  return links.filter((link) => /^(socket|pipe):|^\/dev\/pts\//.test(link));
}

/** Sends a signal; says whether there was anyone to receive it. A negative pid is a process group. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false; // ESRCH: it ended by itself
  }
}
