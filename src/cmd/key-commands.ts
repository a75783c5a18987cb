/**
 * `slip hostkey` and `slip audit`: what can be done beside a running service, on its files alone.
 *
 * @module
 */
import { existsSync } from "node:fs";
import type { Invocation } from "../base/command-line.ts";
import { Fault } from "../base/fault.ts";
import { verifyAudit } from "../gateway/audit/verify-audit.ts";
import { makeSigningKey, lineOf } from "../ssh/private-keys.ts";
import { fingerprintOf } from "../base/fingerprint.ts";
import { readHostKeys, rotateHostKey, type HostKeyFile } from "../store/host-keys.ts";
import type { StateFolder } from "./state-folder.ts";

export type Print = (line: string) => void;

interface HostKeyRow {
  readonly type: string;
  readonly number: number;
  readonly fingerprint: string;
  readonly role: "proves" | "announced";
  readonly line: string;
}

function rowsOf(files: readonly HostKeyFile[]): HostKeyRow[] {
  return files.map((file, at) => {
    const key = makeSigningKey(file.key);
    return {
      type: file.type,
      number: file.number,
      fingerprint: fingerprintOf(key.blob),
      role: files.findIndex(({ type }) => type === file.type) === at ? "proves" : "announced",
      line: lineOf(key, "slipway"),
    };
  });
}

/** Prints the host keys, those that prove who we are first of their type. */
export function listHostKeys(state: StateFolder, call: Invocation, print: Print): void {
  const rows = rowsOf(readHostKeys(state.hostKeys));
  if (call.options["json"] === true) print(JSON.stringify(rows, undefined, 2));
  else for (const row of rows) print([row.type, row.role, row.fingerprint, row.line].join("\t"));
}

/** Takes the next step of a rotation and says what it was and what comes next. */
export async function rotateHostKeys(state: StateFolder, call: Invocation, print: Print): Promise<void> {
  const type = call.options["type"] ?? "ed25519";
  if (type !== "ed25519" && type !== "rsa") {
    const told = `there is no host key of type ${JSON.stringify(type)}, only ed25519 and rsa`;
    throw new Fault("usage.wrong", `Cannot rotate: ${told}`, { told });
  }
  const { added, retired } = await rotateHostKey(state.hostKeys, type);
  const fingerprint = (file: HostKeyFile): string => fingerprintOf(makeSigningKey(file.key).blob);
  if (call.options["json"] === true) {
    const row = { added: added && fingerprint(added), retired: retired && fingerprint(retired) };
    print(JSON.stringify(row, undefined, 2));
  } else if (added !== undefined) {
    print(`announced\t${fingerprint(added)}`);
    print("Clients write the new key down at their next login. Once they had time for it, run this again to switch.");
  } else if (retired !== undefined) {
    print(`retired\t${fingerprint(retired)}`);
    print("New connections meet the new key from now on.");
  }
}

/** Verifies the audit log. @throws {Fault} `audit.broken` naming the first line that is not as it was written */
export async function verifyAuditLog(state: StateFolder, call: Invocation, print: Print): Promise<void> {
  if (!existsSync(state.auditLog)) {
    const told = `there is no audit log ${state.auditLog}; SLIPWAY_HOME names the state folder it is in`;
    throw new Fault("usage.wrong", `Cannot verify: ${told}`, { told });
  }
  const expected = call.options["head"];
  const verdict = await verifyAudit(state.auditLog, typeof expected === "string" ? expected : undefined);
  if (call.options["json"] === true) print(JSON.stringify(verdict, undefined, 2));
  if (!verdict.sound) {
    const told = `${state.auditLog}:${verdict.line}: ${verdict.why}; the ${verdict.head.count} records before it are sound`;
    throw new Fault("audit.broken", `Cannot vouch for the audit log: ${told}`, { told });
  }
  if (call.options["json"] !== true) print(`sound\t${verdict.head.count} records\t${verdict.head.hash}`);
}
