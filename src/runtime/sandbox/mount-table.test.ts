import { expect, test } from "vitest";

import { makePlace } from "./layout.ts";
import { isMountablePath, makeMountTable } from "./mount-table.ts";
import type { MountFacts } from "./mount-table.ts";

const FACTS: MountFacts = {
  place: makePlace("/state", "env1"),
  systemFolders: [
    { name: "usr", path: "/usr" },
    { name: "etc", path: "/etc" },
  ],
  overlay: "plain",
  submounts: [],
  hidden: [
    { path: "etc/ssh", isFolder: true },
    { path: "etc/secret", isFolder: false },
  ],
  workspace: "/state/environments/env1/workspace",
  user: "dev",
  owner: 7,
  uid: 7,
  ttyGroup: 5,
  extras: { "bin/node": "/some where/node" },
  procMasks: [{ name: "kcore", isFolder: false }],
  procReadOnly: ["bus", "sys"],
  controlGroups: { memory: "/sys/fs/cgroup/memory/slipway/env1" },
  shmBytes: 1024,
};

const E = "/state/environments/env1";
const WORK = `${E}/work`;

test("makeMountTable() begins with a top that nobody inside can write to, and hides what lies in what it shows", () => {
  const lines = makeMountTable(FACTS).split("\n");
  expect(lines.slice(0, 9)).toEqual([
    `${E}/root ${E}/root none bind,ro,nosuid,nodev 0 0`,
    `overlay ${E}/root/usr overlay nosuid,nodev,lowerdir=/usr,upperdir=${E}/upper/usr,workdir=${WORK}/usr 0 0`,
    `overlay ${E}/root/etc overlay nosuid,nodev,lowerdir=/etc,upperdir=${E}/upper/etc,workdir=${WORK}/etc 0 0`,
    `${E}/inside ${E}/root/opt/slipway none bind,ro,nosuid,nodev 0 0`,
    `/some\\040where/node ${E}/root/opt/slipway/bin/node none rbind,ro,nosuid,nodev 0 0`,
    `${E}/empty ${E}/root/etc/ssh none bind,ro,nosuid,nodev 0 0`,
    `/dev/null ${E}/root/etc/secret none bind 0 0`,
    `${E}/home ${E}/root/home/dev none bind,nosuid,nodev 0 0`,
    `${E}/workspace ${E}/root/workspace none bind,nosuid,nodev 0 0`,
  ]);
});

test("makeMountTable() lets no set-uid program of any mount count, devices apart", () => {
  const careless = makeMountTable(FACTS)
    .split("\n")
    .filter((line) => line !== "" && !/\b(nosuid)\b/.test(line) && !line.startsWith("/dev/"));
  expect(careless).toEqual([]);
});

test("makeMountTable() shows the system read-only where no layer can be laid over it", () => {
  expect(makeMountTable({ ...FACTS, overlay: "refused" })).toContain(
    `\n/usr ${E}/root/usr none rbind,ro,nosuid,nodev 0 0\n`,
  );
});

test("makeMountTable() shows what is mounted below the system read-only, and hides what lies in that", () => {
  const submounts = [{ name: "usr/local", path: "/usr/local" }];
  const hidden = [{ path: "usr/local/secret", isFolder: true }];
  expect(
    makeMountTable({ ...FACTS, extras: {}, submounts, hidden })
      .split("\n")
      .slice(4, 6),
  ).toEqual([
    `/usr/local ${E}/root/usr/local none rbind,ro,nosuid,nodev 0 0`,
    `${E}/empty ${E}/root/usr/local/secret none bind,ro,nosuid,nodev 0 0`,
  ]);
});

test("makeMountTable() names no group for terminals where there is none to name", () => {
  const { ttyGroup: _, ...facts } = FACTS;
  expect(makeMountTable(FACTS)).toContain("mode=0620,gid=5 ");
  expect(makeMountTable({ ...facts, ttyGroup: undefined })).toContain("mode=0620 ");
});

test.each([
  ["/var/lib/slipway", true],
  ["/with space", true],
  ["relative", false],
  ["/a,b", false],
  ["/a:b", false],
  ["/a\\b", false],
  ["/a\nb", false],
])("isMountablePath() says of %j: %s", (path, is) => {
  expect(isMountablePath(path)).toBe(is);
});
