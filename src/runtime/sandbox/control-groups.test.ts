/**
 * Control groups: the decisions, and the writing into folders that look like a hierarchy of version 2. That the kernel holds
 * limits is tested where there are any (`isolation.test.ts`); most machines of today have version 2.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

import {
  findHierarchyMounts,
  groupMounts,
  joinFiles,
  limitFiles,
  makeGroups,
  openControlGroups,
} from "./control-groups.ts";

const HYBRID = `24 1 254:0 / / rw - ext4 /dev/vda rw
30 24 0:20 / /sys/fs/cgroup rw - tmpfs tmpfs rw
31 30 0:21 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 30 0:22 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 30 0:23 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio
34 30 0:24 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
`;

test("findHierarchyMounts() finds those of version 1 that limit what we limit, and version 2", () => {
  expect(findHierarchyMounts(HYBRID, "5:cpu,cpuacct:/a\n4:memory:/b:c\n0::/user.slice\n")).toEqual([
    { version: 1, controllers: ["cpu"], mountPoint: "/sys/fs/cgroup/cpu,cpuacct", ownPath: "/a" },
    { version: 1, controllers: ["memory"], mountPoint: "/sys/fs/cgroup/memory", ownPath: "/b:c" },
    {
      version: 2,
      controllers: ["memory", "pids", "cpu"],
      mountPoint: "/sys/fs/cgroup/unified",
      ownPath: "/user.slice",
    },
  ]);
});

test("findHierarchyMounts() finds nothing where nothing is", () => {
  expect(findHierarchyMounts("", "")).toEqual([]);
});

const ALL = ["memory", "pids", "cpu"] as const;

test("limitFiles() writes the limits in the words of each version", () => {
  const limits = { memoryBytes: 1000, processCount: 50, cpuCount: 1.5 };
  expect(limitFiles({ version: 2, controllers: ALL }, limits)).toEqual([
    ["pids.max", "50"],
    ["memory.max", "1000"],
    ["cpu.max", "150000 100000"],
  ]);
  expect(limitFiles({ version: 1, controllers: ["memory"] }, limits)).toEqual([["memory.limit_in_bytes", "1000"]]);
  expect(limitFiles({ version: 1, controllers: ["cpu"] }, limits)).toEqual([
    ["cpu.cfs_period_us", "100000"],
    ["cpu.cfs_quota_us", "150000"],
  ]);
  expect(limitFiles({ version: 1, controllers: ["pids"] }, limits)).toEqual([["pids.max", "50"]]);
});

test("limitFiles() writes nothing for what has no limit, and no quota below what the kernel takes", () => {
  expect(limitFiles({ version: 2, controllers: ALL }, {})).toEqual([]);
  expect(limitFiles({ version: 2, controllers: ALL }, { cpuCount: 0.0001 })).toEqual([["cpu.max", "1000 100000"]]);
});

/** A folder like a hierarchy of version 2 whose groups, by their paths, are ours to write to, or not. */
function makeHierarchy(groups: Readonly<Record<string, "ours" | "others'">>): Disposable & { readonly folder: string } {
  const folder = mkdtempSync(join(tmpdir(), "slipway-cgroup-"));
  for (const [path, whose] of Object.entries(groups)) {
    mkdirSync(join(folder, path), { recursive: true });
    writeFileSync(join(folder, path, "cgroup.controllers"), "cpuset cpu io memory pids\n");
    // Root may write to every file: one of others is absent.
    if (whose === "ours") writeFileSync(join(folder, path, "cgroup.subtree_control"), "");
  }
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

const V2 = { version: 2, controllers: ALL } as const;

test.each([
  ["root's service", { "": "ours", "system.slice": "ours", "system.slice/slipway.service": "ours" }, ""],
  [
    "a user's service",
    { "": "others'", "u.slice": "others'", "u.slice/u@7": "ours", "u.slice/u@7/app": "ours" },
    "u.slice/u@7",
  ],
  [
    "a service with a group of its own",
    { "": "others'", "system.slice": "others'", "system.slice/s": "ours" },
    "system.slice/s",
  ],
] as const)("openControlGroups() puts %s's environments below the uppermost group that is its", (_, groups, parent) => {
  using hierarchy = makeHierarchy(groups);
  const { folder } = hierarchy;
  const ownPath = `/${Object.keys(groups).at(-1) ?? ""}`;
  const opened = openControlGroups([{ ...V2, mountPoint: folder, ownPath }]);
  const base = join(folder, parent, "slipway");
  expect(opened).toEqual({ hierarchies: [{ ...V2, base }], lacks: [] });
  makeGroups(opened, "env1", { memoryBytes: 1000, processCount: 50, cpuCount: 1.5 });
  const read = (name: string): string => readFileSync(join(base, "env1", name), "utf8");
  expect(["memory.max", "pids.max", "cpu.max"].map(read)).toEqual(["1000", "50", "150000 100000"]);
  expect(joinFiles(opened, "env1")).toEqual([join(base, "env1/cgroup.procs")]);
  expect(groupMounts(opened, "env1")).toEqual({ "": join(base, "env1") });
});

test("openControlGroups() says when processes are in the way of limits, and leaves no group that is of no use", () => {
  using hierarchy = makeHierarchy({ "": "others'", s: "ours" });
  const group = join(hierarchy.folder, "s");
  writeFileSync(join(group, "cgroup.procs"), "1\n");
  rmSync(join(group, "cgroup.subtree_control"));
  mkdirSync(join(group, "cgroup.subtree_control")); // a write to it fails, if not with EBUSY as the kernel's
  const { hierarchies, lacks } = openControlGroups([{ ...V2, mountPoint: hierarchy.folder, ownPath: "/s" }]);
  expect([hierarchies, lacks]).toEqual([
    [],
    ["memory", "the number of processes", "processor time"].map(
      (what) => `no limit on ${what}: the control group ${group} has processes of its own, needs them in a group below`,
    ),
  ]);
  expect(existsSync(join(group, "slipway"))).toBe(false);
});

test("openControlGroups() does without controllers that a hierarchy of version 2 has not, as where version 1 has them", () => {
  using hierarchy = makeHierarchy({ "": "ours" });
  writeFileSync(join(hierarchy.folder, "cgroup.controllers"), "hugetlb pids\n");
  const { hierarchies, lacks } = openControlGroups([{ ...V2, mountPoint: hierarchy.folder, ownPath: "/" }]);
  expect(hierarchies.map(({ controllers }) => controllers)).toEqual([["pids"]]);
  expect(lacks).toEqual([
    "no limit on memory: this machine has no control group for it that we can write to",
    "no limit on processor time: this machine has no control group for it that we can write to",
  ]);
});
