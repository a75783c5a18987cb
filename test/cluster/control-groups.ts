/**
 * The control groups of a test cluster, in every hierarchy that the machine has mounted (v1, v2, or both).
 *
 * Below the cluster's group are `system`, which its own processes enter, and `kubepods`, which the kubelet makes.
 *
 * @module
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const TOP = "/sys/fs/cgroup";

/** Makes the group and its `system` in each hierarchy, and returns the folders of the latter. */
export function makeGroups(group: string): string[] {
  return hierarchies().map((top) => {
    const folder = join(top, group, "system");
    mkdirSync(folder, { recursive: true });
    if (existsSync(join(top, "cpuset.mems"))) passCpusets(top, folder);
    return folder;
  });
}

/** Takes away the group and all below it. Whatever has processes still stays. */
export function removeGroups(group: string): void {
  for (const top of hierarchies()) {
    const folder = join(top, group);
    for (const below of [...foldersBelow(folder), folder, dirname(folder)]) {
      try {
        rmdirSync(below);
      } catch {
        // never made, another cluster's too, or in use
      }
    }
  }
}

/** Names the folders of the group that still exist. */
export function groupsLeft(group: string): string[] {
  return hierarchies()
    .map((top) => join(top, group))
    .filter((folder) => existsSync(folder));
}

function hierarchies(): string[] {
  if (existsSync(join(TOP, "cgroup.controllers"))) return [TOP];
  return readdirSync(TOP, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(TOP, name));
}

/** A group of cpuset v1 takes no process until it has processors and memory of its own: cpuset(7). */
function passCpusets(top: string, folder: string): void {
  if (folder === top) return;
  passCpusets(top, dirname(folder));
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    const given = readFileSync(join(dirname(folder), file), "utf8");
    if (readFileSync(join(folder, file), "utf8").trim() === "") writeFileSync(join(folder, file), given);
  }
}

/** Deepest first. */
function foldersBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => [...foldersBelow(join(folder, name)), join(folder, name)]);
}
