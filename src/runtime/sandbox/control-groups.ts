/**
 * Limits of an environment by control groups, version 1 or 2, whichever hierarchy of this machine can be written to.
 *
 * Every process of an environment is in its groups from before it enters the namespaces (`enter.sh`), so a group also
 * tells which processes there are. What cannot be limited here is said in a sentence and not refused.
 *
 * @module
 */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import type { Clock } from "../../base/clock.ts";
import type { Limits } from "../runtime.ts";

const CONTROLLERS = ["memory", "pids", "cpu"] as const;
export type Controller = (typeof CONTROLLERS)[number];

/** One hierarchy: version 2 has one with several controllers, version 1 one for each. */
export interface Hierarchy {
  readonly version: 1 | 2;
  readonly controllers: readonly Controller[];
  /** Folder under which each environment gets one. */
  readonly base: string;
}

export interface ControlGroups {
  readonly hierarchies: readonly Hierarchy[];
  readonly lacks: readonly string[];
}

/** Where a hierarchy is mounted, and our own group in it. */
export interface HierarchyMount {
  readonly version: 1 | 2;
  readonly controllers: readonly Controller[];
  readonly mountPoint: string;
  readonly ownPath: string;
}

/** Reads `/proc/self/mountinfo` (proc(5)) and `/proc/self/cgroup` (cgroups(7)). Pure. */
export function findHierarchyMounts(mountInfo: string, ownGroups: string): HierarchyMount[] {
  const own = new Map<string, string>();
  for (const line of ownGroups.split("\n")) {
    const [, names, path = "/"] = /^[0-9]+:([^:]*):(.*)$/.exec(line) ?? [];
    if (names === undefined) continue;
    for (const name of names.split(",")) own.set(name, path);
  }
  const found: HierarchyMount[] = [];
  for (const line of mountInfo.split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const mountPoint = before.split(" ")[4] ?? "";
    const [type, , options = ""] = after.split(" ");
    if (type === "cgroup2")
      found.push({ version: 2, controllers: CONTROLLERS, mountPoint, ownPath: own.get("") ?? "/" });
    const names = options.split(",");
    const controllers = CONTROLLERS.filter((name) => names.includes(name));
    if (type !== "cgroup" || controllers.length === 0) continue;
    found.push({ version: 1, controllers, mountPoint, ownPath: own.get(controllers[0] ?? "") ?? "/" });
  }
  return found;
}

/** Says which files of a group hold which limits. `undefined` limits are not written: a new group has none. Pure. */
export function limitFiles(hierarchy: Pick<Hierarchy, "version" | "controllers">, limits: Limits): [string, string][] {
  const files: [Controller, string, string][] = [];
  const period = 100_000; // µs: the kernel's own default, sched-bwc
  const { memoryBytes, processCount, cpuCount } = limits;
  if (processCount !== undefined) files.push(["pids", "pids.max", String(processCount)]);
  const quota = String(Math.max(1_000, Math.round((cpuCount ?? 0) * period)));
  if (hierarchy.version === 1) {
    if (memoryBytes !== undefined) files.push(["memory", "memory.limit_in_bytes", String(memoryBytes)]);
    if (cpuCount !== undefined)
      files.push(["cpu", "cpu.cfs_period_us", String(period)], ["cpu", "cpu.cfs_quota_us", quota]);
  } else {
    if (memoryBytes !== undefined) files.push(["memory", "memory.max", String(memoryBytes)]);
    if (cpuCount !== undefined) files.push(["cpu", "cpu.max", `${quota} ${period}`]);
  }
  return files
    .filter(([controller]) => hierarchy.controllers.includes(controller))
    .map(([, file, value]) => [file, value]);
}

/** Finds the hierarchies of this machine, and our own group in each. */
export function readHierarchyMounts(): HierarchyMount[] {
  return findHierarchyMounts(readText("/proc/self/mountinfo"), readText("/proc/self/cgroup"));
}

/** Looks which hierarchies we can use, and makes our folder in each. */
export function openControlGroups(mounts: readonly HierarchyMount[]): ControlGroups {
  const opened = mounts.map(openHierarchy);
  const hierarchies = opened.flatMap(({ hierarchy }) => hierarchy ?? []);
  const held = new Set(hierarchies.flatMap(({ controllers }) => controllers));
  const words = { memory: "memory", pids: "the number of processes", cpu: "processor time" };
  const [why = "this machine has no control group for it that we can write to"] = opened.flatMap(
    (one) => one.why ?? [],
  );
  const lacks = CONTROLLERS.filter((name) => !held.has(name)).map((name) => `no limit on ${words[name]}: ${why}`);
  return { hierarchies, lacks };
}

/** The hierarchy as it can be used, or why one that is ours to write to cannot. */
interface Opened {
  readonly hierarchy?: Hierarchy;
  readonly why?: string;
}

function openHierarchy(mount: HierarchyMount): Opened {
  const parent = mount.version === 1 ? mount.mountPoint : highestWritable(mount);
  const base = join(parent, "slipway");
  try {
    mkdirSync(base, { recursive: true });
    accessSync(base, constants.W_OK);
    if (mount.version === 1) return { hierarchy: { version: 1, controllers: mount.controllers, base } };
    const there = readText(join(parent, "cgroup.controllers")).trim().split(" ");
    const offered = mount.controllers.filter((name) => there.includes(name));
    const controllers = offered.filter((name) => delegate(parent, name) && delegate(base, name));
    if (controllers.length > 0) return { hierarchy: { version: 2, controllers, base } };
    rmdirSync(base);
    // The kernel refuses limits below a group that has processes and is not the root: cgroup-v2.rst, "No Internal Process
    // Constraint".
    const isInTheWay = offered.length > 0 && readText(join(parent, "cgroup.procs")) !== "";
    return isInTheWay
      ? { why: `the control group ${parent} has processes of its own, needs them in a group below` }
      : {};
  } catch {
    return {}; // read-only, not ours, or with environments of an earlier start: `lacks` says so
  }
}

/** Version 2 is written to from the root by root, and from the uppermost folder that was delegated to us by others. */
function highestWritable({ mountPoint, ownPath }: HierarchyMount): string {
  let best = mountPoint;
  for (let at = join(mountPoint, ownPath); at.startsWith(mountPoint); at = dirname(at)) {
    try {
      accessSync(join(at, "cgroup.subtree_control"), constants.W_OK);
      best = at;
    } catch {
      if (best !== mountPoint) break;
    }
    if (at === mountPoint) break;
  }
  return best;
}

/** Lets the children of a group be limited by a controller: cgroup-v2.rst, "Enabling and Disabling". */
function delegate(group: string, controller: Controller): boolean {
  try {
    writeFileSync(join(group, "cgroup.subtree_control"), `+${controller}`);
    return true;
  } catch {
    return false;
  }
}

/** Makes the groups of an environment with its limits. One that exists is used as it is. */
export function makeGroups({ hierarchies }: ControlGroups, id: string, limits: Limits): void {
  for (const hierarchy of hierarchies) {
    const group = join(hierarchy.base, id);
    mkdirSync(group, { recursive: true });
    for (const [file, value] of limitFiles(hierarchy, limits)) writeFileSync(join(group, file), value);
  }
}

/** Files to which a process writes "0" to join an environment's groups. */
export function joinFiles({ hierarchies }: ControlGroups, id: string): string[] {
  return hierarchies.map(({ base }) => join(base, id, "cgroup.procs"));
}

/** Path below `/sys/fs/cgroup` inside → group here: programs that size themselves by their limits look there. */
export function groupMounts({ hierarchies }: ControlGroups, id: string): Record<string, string> {
  const named = hierarchies.map(({ version, controllers, base }) => {
    return [version === 2 ? "" : controllers.join(","), join(base, id)] as const;
  });
  return Object.fromEntries(named);
}

/** Reads which processes are in an environment's groups; `undefined` where there is no group to ask. */
export async function readGroupPids({ hierarchies }: ControlGroups, id: string): Promise<number[] | undefined> {
  const [first] = hierarchies;
  if (first === undefined) return undefined;
  const text = await readFile(join(first.base, id, "cgroup.procs"), "utf8").catch(() => "");
  return text.split("\n").filter(Boolean).map(Number);
}

/** Says whether an environment has used up its processes, or all but a few: some end and others begin all the time. */
export function isOutOfProcesses({ hierarchies }: ControlGroups, id: string, { processCount }: Limits): boolean {
  const counting = hierarchies.find(({ controllers }) => controllers.includes("pids"));
  if (counting === undefined || processCount === undefined) return false;
  return Number(readText(join(counting.base, id, "pids.current"))) >= processCount * 0.9;
}

/** Removes an environment's groups, whose processes are gone or about to be. */
export async function removeGroups({ hierarchies }: ControlGroups, id: string, clock: Clock): Promise<void> {
  for (const { base } of hierarchies) {
    for (let tries = 0; existsSync(join(base, id)); tries++) {
      try {
        rmdirSync(join(base, id));
      } catch (error) {
        if (tries >= 200) throw error; // EBUSY until the last process is reaped: milliseconds, unless something hangs
        await clock.sleep(10);
      }
    }
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
