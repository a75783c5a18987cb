import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Fault } from "../base/fault.ts";
import { ensureHostKey, openGatewayKey, readHostKeys, rotateHostKey, watchHostKeys } from "./host-keys.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "slipway-host-keys-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const numbers = (): number[] => readHostKeys(folder).map(({ number }) => number);

test("ensureHostKey() makes one key of its type, private, once", async () => {
  expect(await ensureHostKey(folder, "ed25519")).toBe(true);
  expect(await ensureHostKey(folder, "ed25519")).toBe(false);
  expect(readdirSync(folder)).toEqual(["ed25519-1.pem"]);
  expect(statSync(join(folder, "ed25519-1.pem")).mode & 0o777).toBe(0o600);
});

test("rotateHostKey() announces a second key first, and switches to it then", async () => {
  await ensureHostKey(folder, "ed25519");
  const first = await rotateHostKey(folder, "ed25519");
  expect([first.added?.number, first.retired]).toEqual([2, undefined]);
  expect(numbers()).toEqual([1, 2]);
  const second = await rotateHostKey(folder, "ed25519");
  expect([second.added, second.retired?.number]).toEqual([undefined, 1]);
  expect(numbers()).toEqual([2]);
});

test("watchHostKeys() shows a rotation to a running service, and reads nothing in between", async () => {
  await ensureHostKey(folder, "ed25519");
  const read = watchHostKeys(folder);
  const before = read();
  expect(read()).toBe(before);
  await rotateHostKey(folder, "ed25519");
  expect(read()).toHaveLength(2);
});

test("readHostKeys() says which file is damaged", () => {
  writeFileSync(join(folder, "ed25519-1.pem"), "not a key");
  expect(() => readHostKeys(folder)).toThrow(Fault);
  expect(() => readHostKeys(folder)).toThrow(/ed25519-1\.pem: it is damaged/);
});

test("openGatewayKey() makes the key once", async () => {
  const path = join(folder, "gateway-key.pem");
  const made = await openGatewayKey(path);
  expect((await openGatewayKey(path)).equals(made)).toBe(true);
});
