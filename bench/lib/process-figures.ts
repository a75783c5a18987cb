/**
 * What the kernel knows of a process: its memory and the processor time it has had.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";

/** Unit of processor time in `/proc/<pid>/stat`: USER_HZ, 100 on every Linux that Node runs on (proc(5), time(7)). */
const TICK_MS = 10;

/** Processor time of the process itself, threads included, children not. */
export function readCpuMs(pid: number): number {
  const line = readFileSync(`/proc/${pid}/stat`, "latin1");
  // The name, in parentheses, may hold spaces.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

export interface Memory {
  /** Resident set size. */
  readonly rssBytes: number;
  /** The same with shared pages divided among those who share them. */
  readonly pssBytes: number;
}

export function readMemory(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "latin1");
  const bytesOf = (name: string): number =>
    Number(new RegExp(`^${name}: +([0-9]+) kB`, "m").exec(text)?.[1] ?? NaN) * 1_024;
  return { rssBytes: bytesOf("Rss"), pssBytes: bytesOf("Pss") };
}

/** Finds a process and all that descend from it. */
export function findFamily(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc").filter((entry) => /^[0-9]+$/.test(entry))) {
    const parent = readParent(Number(name));
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const family = [pid];
  for (const member of family) family.push(...(children.get(member) ?? []));
  return family;
}

function readParent(pid: number): number | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, "latin1");
    return Number(line.slice(line.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined; // it ended meanwhile
  }
}
