/**
 * Long-lived processes of a test cluster: started so that they outlive whoever started them, known by pid and start time,
 * so that a pid that the kernel has given to somebody else is never killed.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { plainEnv } from "../harness/program.ts";
import { until } from "../harness/wait.ts";

/** A process, told apart from a later one with the same pid. */
export interface Process {
  readonly pid: number;
  /** Clock ticks after the start of the machine: proc(5), `stat`, field 22. */
  readonly startedAt: string;
}

/** Starts a program in a session of its own, its output added to `log`. Returns the process itself. */
export function launch(words: readonly string[], log: string): Process {
  const [program = "", ...args] = words;
  const output = openSync(log, "a");
  const child = spawn(program, args, {
    detached: true,
    cwd: "/",
    // The kubelet of 1.20 looks for credentials of a cloud for five seconds before it starts, unless told not to.
    env: { ...plainEnv("/root"), AWS_EC2_METADATA_DISABLED: "true" },
    stdio: ["ignore", output, output],
  });
  closeSync(output);
  child.unref();
  const process = child.pid === undefined ? undefined : lookUp(child.pid);
  if (process === undefined) throw new Error(`Cannot start ${program}: it ended at once, see ${log}`);
  return process;
}

/**
 * Waits for the one child of a program that forks to get into a namespace (`unshare --fork`, `nsenter --pid`).
 *
 * @throws {Error} when the parent ends first
 */
export async function untilChild(parent: Process): Promise<Process> {
  return until(`the child of process ${parent.pid}`, () => {
    if (!isAlive(parent)) throw new Error(`Cannot find the child of process ${parent.pid}: it ended`);
    const [pid = ""] = readText(`/proc/${parent.pid}/task/${parent.pid}/children`).split(" ");
    return pid === "" ? undefined : lookUp(Number(pid));
  });
}

/** Says whether it runs; a zombie does not. */
export function isAlive({ pid, startedAt }: Process): boolean {
  return lookUp(pid)?.startedAt === startedAt;
}

/** Sends a signal if it still runs. */
function signalTo(process_: Process, signal: NodeJS.Signals): void {
  if (!isAlive(process_)) return;
  try {
    process.kill(process_.pid, signal);
  } catch {
    // it ended meanwhile
  }
}

/** Sends a signal and waits for the end. @throws {Error} when it goes on for 20 s */
export async function endProcess(process_: Process, signal: NodeJS.Signals): Promise<void> {
  signalTo(process_, signal);
  await until(`the end of process ${process_.pid}`, () => !isAlive(process_), 20_000);
}

/**
 * Has a process that was stopped go on, and whoever waits for it: nsenter(1) stops itself with its child, and a child that nobody
 * waits for stays a zombie, which keeps its namespaces from ending.
 */
export function goOn({ pid }: Process): void {
  const [, parent = ""] = /^PPid:\s+([0-9]+)$/m.exec(readText(`/proc/${pid}/status`)) ?? [];
  if (readText(`/proc/${parent}/comm`) === "nsenter\n") process.kill(Number(parent), "SIGCONT");
  process.kill(pid, "SIGCONT");
}

function lookUp(pid: number): Process | undefined {
  // The name, in parentheses, may hold anything: fields are counted from its end.
  const fields = readText(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ?? [];
  const [state, startedAt] = [fields[0], fields[19]];
  return startedAt === undefined || state === "Z" ? undefined : { pid, startedAt };
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // it ended meanwhile
  }
}
