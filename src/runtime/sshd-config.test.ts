import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

import { makeHostKey } from "./host-key.ts";
import { makeSshdConfig } from "./sshd-config.ts";

const PATHS = {
  hostKeyFile: "/opt/slipway/ssh/host_ed25519",
  authorizedKeysFile: "/opt/slipway/ssh/authorized_keys",
  sftpFolder: "/opt/slipway/workspace",
};

/** What the real sshd makes of a configuration: `sshd -T` prints it with every default. */
function readBySshd(config: string): Map<string, string[]> {
  const folder = mkdtempSync(join(tmpdir(), "slipway-sshd-"));
  try {
    writeFileSync(join(folder, "key"), makeHostKey().privateText, { mode: 0o600 });
    writeFileSync(join(folder, "config"), config.replace(/^HostKey .*$/m, `HostKey ${folder}/key`));
    const said = execFileSync("/usr/sbin/sshd", ["-T", "-f", join(folder, "config")], { encoding: "utf8" });
    const settings = new Map<string, string[]>();
    for (const line of said.trim().split("\n")) {
      const [name = "", ...value] = line.split(" ");
      settings.set(name, [...(settings.get(name) ?? []), value.join(" ")]);
    }
    return settings;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("makeSshdConfig() carries variables to sshd whatever is in their values", () => {
  const env = {
    PLAIN: "x",
    SPACES: "  two  words ",
    QUOTES: `a "b" 'c' \\ \\" end\\`,
    HASH: "# no comment",
    DOLLAR: "$HOME %h %% `id`",
    EMPTY: "",
    UNICODE: "Ünïcode → ✓",
    "WITH.DOT": "yes",
  };
  const said = readBySshd(makeSshdConfig(PATHS, env)).get("setenv");
  expect(said).toEqual(Object.entries(env).map(([name, value]) => `${name}=${value}`));
});

test("makeSshdConfig() lets in the gateway's key alone, and forbids nothing to whoever holds it", () => {
  const settings = readBySshd(makeSshdConfig(PATHS, {}));
  const wanted = {
    pubkeyauthentication: "yes",
    passwordauthentication: "no",
    kbdinteractiveauthentication: "no",
    authorizedkeysfile: "/opt/slipway/ssh/authorized_keys",
    authenticationmethods: "publickey",
    allowtcpforwarding: "yes",
    allowstreamlocalforwarding: "yes",
    allowagentforwarding: "yes",
    permittunnel: "no",
    x11forwarding: "no",
    acceptenv: "*",
    maxsessions: "1000",
    clientaliveinterval: "0",
    usepam: "no",
    subsystem: "sftp internal-sftp -d /opt/slipway/workspace",
  };
  for (const [name, value] of Object.entries(wanted)) expect([name, settings.get(name)]).toEqual([name, [value]]);
});

test.each(["a\nb", "a\rb", "a\0b"])("makeSshdConfig() refuses %j, which would begin a setting of its own", (value) => {
  expect(() => makeSshdConfig(PATHS, { A: value })).toThrow(/line break/);
});

test.each(["relative", "/with space", "/100%u", "/a\nPermitRootLogin yes"])(
  "makeSshdConfig() refuses the path %j",
  (path) => {
    expect(() => makeSshdConfig({ ...PATHS, sftpFolder: path }, {})).toThrow(/no plain path/);
  },
);
