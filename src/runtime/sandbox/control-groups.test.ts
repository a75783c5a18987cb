import { expect, test } from "vitest";

import { findHierarchyMounts, limitFiles } from "./control-groups.ts";

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
