/**
 * Looks for whatever a service and its environments may have left on the machine: processes, mounts, interfaces,
 * control groups. And takes it away, so that a test that fails does not spoil those after it.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "./program.ts";

/** What belongs to one service of a test. */
export interface Traces {
  /** Everything of it on disk is below. */
  readonly folder: string;
  readonly firstUid: number;
  /** 0: none is of it alone, and its processes are found by what is mounted in their namespaces. */
  readonly uidCount: number;
  /** Ids of every environment it ever had. */
  readonly environments: readonly string[];
}

/** What ends by itself right after its service gets this long to do so. */
const GRACE_MS = 3_000;

/** Lists what is left, one line each; empty when nothing is. */
export async function findLeftovers(traces: Traces): Promise<string[]> {
  const deadline = performance.now() + GRACE_MS;
  for (;;) {
    const found = look(traces);
    if (found.length === 0 || performance.now() > deadline) return found;
    await sleep(50);
  }
}

/** Takes away what is left, as far as that can be done. */
export async function clearLeftovers(traces: Traces): Promise<void> {
  for (const { pid } of processesOf(traces)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // it ended meanwhile
    }
  }
  await sleep(200);
  for (const mount of mountsOf(traces).reverse()) await run(["umount", "--lazy", mount]);
  for (const name of interfacesOf(traces)) await run(["ip", "link", "delete", name]);
  for (const group of groupsOf(traces)) {
    try {
      rmdirSync(group);
    } catch {
      // whoever is in it will be named
    }
  }
}

function look(traces: Traces): string[] {
  return [
    ...processesOf(traces).map(({ pid, words }) => `process ${pid}: ${words}`),
    ...mountsOf(traces).map((mount) => `mount: ${mount}`),
    ...interfacesOf(traces).map((name) => `interface: ${name}`),
    ...groupsOf(traces).map((group) => `control group: ${group}`),
  ];
}

function processesOf(traces: Traces): { pid: number; words: string }[] {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      const read = (file: string): string => readText(join("/proc", name, file));
      const words = read("cmdline").replaceAll("\0", " ").trim();
      const [, uid = "0"] = /^Uid:\t([0-9]+)/m.exec(read("status")) ?? [];
      const isInside =
        traces.uidCount === 0
          ? read("mountinfo").includes(basename(traces.folder))
          : Number(uid) >= traces.firstUid && Number(uid) < traces.firstUid + traces.uidCount;
      const isOurs = words.includes(traces.folder) || readLink(join("/proc", name, "cwd")).startsWith(traces.folder);
      const groups = read("cgroup");
      const isGrouped = traces.environments.some((id) => groups.includes(`/slipway/${id}`));
      // A zombie is the business of whoever started it.
      if ((!isInside && !isOurs && !isGrouped) || /^State:\tZ/m.test(read("status"))) return [];
      return [{ pid: Number(name), words: words === "" ? read("comm").trim() : words.slice(0, 200) }];
    });
}

function mountsOf({ folder }: Traces): string[] {
  return readText("/proc/self/mountinfo")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((mount) => mount.startsWith(`${folder}/`));
}

function interfacesOf({ environments }: Traces): string[] {
  const names = readdirSync("/sys/class/net");
  return names.filter((name) => environments.some((id) => name.includes(id.slice(0, 10))));
}

function groupsOf({ environments }: Traces): string[] {
  const top = "/sys/fs/cgroup";
  if (!existsSync(top)) return [];
  const bases = ["", ...readdirSync(top)].map((name) => join(top, name, "slipway"));
  return bases.flatMap((base) => environments.map((id) => join(base, id))).filter((group) => existsSync(group));
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // it ended meanwhile
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
