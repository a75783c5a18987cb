import { execFile } from "node:child_process";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { lineOf, makeSigningKey } from "./private-keys.ts";
import { readPublicKey } from "./public-keys.ts";

const run = promisify(execFile);
const ed25519 = generateKeyPairSync("ed25519").privateKey;
const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 }).privateKey;

test.each([
  ["Ed25519", ed25519, ["ssh-ed25519"]],
  ["RSA", rsa, ["rsa-sha2-512", "rsa-sha2-256"]],
] as const)(
  "makeSigningKey() makes a key of %s whose signatures its own public key verifies",
  (_case, key, algorithms) => {
    const signing = makeSigningKey(key);
    expect(signing.algorithms).toEqual(algorithms);
    for (const algorithm of algorithms) {
      const signature = signing.sign(algorithm, Buffer.from("data"));
      expect(readPublicKey(signing.blob).verifies(algorithm, Buffer.from("data"), signature)).toBe(true);
      expect(readPublicKey(signing.blob).verifies(algorithm, Buffer.from("date"), signature)).toBe(false);
    }
  },
);

test("makeSigningKey() refuses keys of a kind that we never make", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  expect(() => makeSigningKey(privateKey)).toThrow("Cannot use a private key: its type is ec, needs ed25519 or rsa");
});

test("lineOf() writes the line that ssh-keygen -y writes of the same key", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-keys-"));
  const file = join(folder, "key");
  for (const args of [
    ["-t", "ed25519"],
    ["-t", "rsa", "-b", "2048"],
  ]) {
    await run("ssh-keygen", ["-q", ...args, "-m", "PKCS8", "-N", "", "-C", "", "-f", file]);
    const text = await readFile(file, "utf8");
    // ssh-keygen writes Ed25519 in its own format only; of RSA it gives PKCS #8.
    if (text.includes("BEGIN PRIVATE KEY")) {
      const { stdout } = await run("ssh-keygen", ["-y", "-f", file]);
      expect(lineOf(makeSigningKey(createPrivateKey(text)), "comment")).toBe(`${stdout.trim()} comment`);
    }
    await rm(file);
  }
  const line = lineOf(makeSigningKey(ed25519), "me@here");
  await writeFile(`${file}.pub`, `${line}\n`);
  const { stdout } = await run("ssh-keygen", ["-l", "-f", `${file}.pub`]);
  expect(stdout).toMatch(/^256 SHA256:\S+ me@here \(ED25519\)\n$/);
  await rm(folder, { recursive: true });
});
