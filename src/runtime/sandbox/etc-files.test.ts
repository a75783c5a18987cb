import { expect, test } from "vitest";

import { findNameservers, isUserName, makeEtcFiles } from "./etc-files.ts";
import type { EtcFacts } from "./etc-files.ts";

const FACTS: EtcFacts = {
  user: "dev",
  uid: 30_001,
  gid: 30_001,
  hostname: "hello-main",
  author: { name: 'Ada "x" \\ L', email: "ada@example.org" },
  machineId: "0".repeat(32),
  nameservers: ["192.0.2.53"],
  hasTtyGroup: true,
  own: {
    passwd:
      "root:x:0:0:root:/root:/bin/bash\nsshd:x:102:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534::/:/bin/false\nbob:x:1000:1000:Bob:/home/bob:/bin/bash\n",
    group: "root:x:0:\ntty:x:5:bob\nsudo:x:27:bob,eve\nbob:x:1000:\nnogroup:x:65534:\n",
    gitconfig: "[core]\n\tpager = cat",
  },
};

test("makeEtcFiles() keeps the system's users, drops the machine's people, and adds the environment's", () => {
  expect(makeEtcFiles(FACTS)["passwd"]).toBe(
    "root:x:0:0:root:/root:/bin/bash\nsshd:x:102:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534::/:/bin/false\ndev:*:30001:30001::/home/dev:/opt/slipway/shell\n",
  );
});

test("makeEtcFiles() tells no member of any group", () => {
  expect(makeEtcFiles(FACTS)["group"]).toBe("root:x:0:\ntty:x:5:\nsudo:x:27:\nnogroup:x:65534:\ndev:x:30001:\n");
});

test("makeEtcFiles() leaves out the group of terminals where they cannot belong to it", () => {
  expect(makeEtcFiles({ ...FACTS, hasTtyGroup: false })["group"]).not.toContain("tty");
});

test.each([
  ["root", "sshd:x:102:65534::/run/sshd:/usr/sbin/nologin"],
  ["sshd", "root:x:0:0:root:/root:/bin/bash"],
])("makeEtcFiles() has each name once when the environment's user is called %s", (user, other) => {
  const lines = (makeEtcFiles({ ...FACTS, user })["passwd"] ?? "").split("\n");
  expect(lines.filter((line) => line.startsWith(`${user}:`))).toEqual([
    `${user}:*:30001:30001::/home/${user}:/opt/slipway/shell`,
  ]);
  expect(lines).toContain(other);
});

test("makeEtcFiles() has each number once when the environment's is also a system user's", () => {
  const passwd = makeEtcFiles({ ...FACTS, uid: 65_534, gid: 65_534 })["passwd"] ?? "";
  expect(passwd.match(/^[^:]*:[^:]*:65534:/gm)).toEqual(["dev:*:65534:"]);
});

test("makeEtcFiles() adds the author to git's settings of the system, whatever the name holds", () => {
  expect(makeEtcFiles(FACTS)["gitconfig"]).toBe(
    '[core]\n\tpager = cat\n[user]\n\tname = "Ada \\"x\\" \\\\ L"\n\temail = "ada@example.org"\n',
  );
});

test("makeEtcFiles() empties what is secret or the machine's own", () => {
  const files = makeEtcFiles(FACTS);
  for (const name of ["shadow", "gshadow", "shadow-", "gshadow-", "environment", "hosts.allow", "hosts.deny"]) {
    expect([name, files[name]]).toEqual([name, ""]);
  }
});

test.each([
  ["a plain list", "nameserver 192.0.2.1\nsearch x\nnameserver 2001:db8::1\n", "", ["192.0.2.1", "2001:db8::1"]],
  ["a stub", "nameserver 127.0.0.53\noptions edns0\n", "nameserver 192.0.2.9\n", ["192.0.2.9"]],
  ["a stub with nothing behind", "nameserver 127.0.0.1\n", "", []],
  ["the stub as its own upstream", "nameserver 127.0.0.53\n", "nameserver 127.0.0.53\n", []],
  ["a comment", "# nameserver 192.0.2.1\n", "", []],
])("findNameservers() reads %s", (_case, resolvConf, behindStub, servers) => {
  expect(findNameservers(resolvConf, behindStub)).toEqual(servers);
});

test.each([
  ["dev", true],
  ["_x-1", true],
  ["", false],
  ["-x", false],
  ["a:b", false],
  ["a/b", false],
  ["Ünï", false],
  ["x".repeat(33), false],
])("isUserName() says of %j: %s", (name, is) => {
  expect(isUserName(name)).toBe(is);
});
