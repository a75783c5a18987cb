import { expect, test } from "vitest";

import { findSubmounts } from "./submounts.ts";

const TABLE = `24 1 254:0 / / rw - ext4 /dev/vda rw
25 24 254:1 / /usr rw - ext4 /dev/vdb rw
26 25 0:40 / /usr/local/with\\040space/deep rw - tmpfs tmpfs rw
27 25 0:41 / /usr/local/with\\040space rw - tmpfs tmpfs rw
28 27 0:42 / /usr/local/with\\040space rw - tmpfs tmpfs rw
29 24 254:0 /own/hosts /etc/hosts rw - ext4 /dev/vda rw
30 24 0:43 / /usrlocal rw - tmpfs tmpfs rw
31 24 0:44 / /opt/tool/data rw - tmpfs tmpfs rw
`;

test("findSubmounts() finds what is mounted below the folders, once, and the outer first", () => {
  const folders = ["usr", "etc", "opt/tool"].map((name) => ({ name, path: `/${name}` }));
  expect(findSubmounts(TABLE, folders)).toEqual([
    { name: "etc/hosts", path: "/etc/hosts" },
    { name: "opt/tool/data", path: "/opt/tool/data" },
    { name: "usr/local/with space", path: "/usr/local/with space" },
    { name: "usr/local/with space/deep", path: "/usr/local/with space/deep" },
  ]);
});

test("findSubmounts() names them as they are inside, whatever root they are of", () => {
  expect(findSubmounts("1 2 0:1 / /srv/root/usr/a rw", [{ name: "usr", path: "/srv/root/usr" }])).toEqual([
    { name: "usr/a", path: "/srv/root/usr/a" },
  ]);
});
