import { mkdtempSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { recordingLog } from "../../test/fakes/recording-log.ts";
import { fingerprintOf } from "../base/fingerprint.ts";
import { makeSigningKey } from "../ssh/private-keys.ts";
import { ensureHostKey, rotateHostKey, type HostKeyFile } from "../store/host-keys.ts";
import type { AuditEvent } from "../wire/audit.ts";
import { watchSigningKeys } from "./signing-keys.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "slipway-signing-keys-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const printOf = (file: HostKeyFile | undefined): string =>
  file === undefined ? "" : fingerprintOf(makeSigningKey(file.key).blob);

/** Issue 2: the audit log had a record for it that nobody wrote, so a rotation left no trace. */
test("watchSigningKeys() records each step of a rotation once, and nothing of the keys it began with", async () => {
  await ensureHostKey(folder, "ed25519");
  const audit: AuditEvent[] = [];
  const append = async (event: AuditEvent): Promise<void> => void audit.push(event);
  const read = watchSigningKeys(folder, { audit: { append }, log: recordingLog().log });
  const [first] = read();
  expect(audit).toEqual([]);
  const { added } = await rotateHostKey(folder, "ed25519");
  utimesSync(folder, 1, 1); // two steps within one tick of the file system's clock
  expect(read().map(({ blob }) => fingerprintOf(blob))).toEqual([fingerprintOf(first!.blob), printOf(added)]);
  const { retired } = await rotateHostKey(folder, "ed25519");
  utimesSync(folder, 2, 2);
  for (let again = 0; again < 3; again++) expect(read()).toHaveLength(1);
  expect(printOf(retired)).toBe(fingerprintOf(first!.blob));
  expect(audit).toEqual([
    { type: "hostkey.rotated", added: printOf(added) },
    { type: "hostkey.rotated", retired: printOf(retired) },
  ]);
});
