import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

import { makeHostKey } from "./host-key.ts";

test("makeHostKey() makes a key file that OpenSSH reads, with the public key it tells", () => {
  const folder = mkdtempSync(join(tmpdir(), "slipway-key-"));
  try {
    for (let round = 0; round < 5; round++) {
      const key = makeHostKey();
      const path = join(folder, String(round));
      writeFileSync(path, key.privateText, { mode: 0o600 });
      const line = execFileSync("ssh-keygen", ["-y", "-f", path], { encoding: "utf8" });
      expect(line.trim()).toBe(`ssh-ed25519 ${key.publicBlob.toString("base64")} slipway`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("makeHostKey() never makes the same key twice", () => {
  expect(makeHostKey().privateText).not.toBe(makeHostKey().privateText);
});
