/**
 * Where everything that outlives the process is kept: one folder, private to the service.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import {
  accessSync,
  appendFileSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Fault } from "../base/fault.ts";

export interface StateFolder {
  readonly path: string;
  readonly database: string;
  readonly auditLog: string;
  readonly hostKeys: string;
  readonly gatewayKey: string;
  /** Where a running service answers the commands of `slip`. */
  readonly control: string;
  /** The name of this machine's environments in a database that several services share. */
  readonly installationId: string;
  /** Names of all runs of a service on this state. */
  readonly runs: string;
}

/** Names the parts of the state folder: `SLIPWAY_HOME`, or `.slipway` in the working folder. */
export function stateFolder(
  environment: Readonly<Record<string, string | undefined>>,
  workingFolder: string,
): StateFolder {
  const path = resolve(workingFolder, environment["SLIPWAY_HOME"] ?? ".slipway");
  return {
    path,
    database: join(path, "slipway.db"),
    auditLog: join(path, "audit.jsonl"),
    hostKeys: join(path, "hostkeys"),
    gatewayKey: join(path, "gateway-key.pem"),
    control: join(path, "control.sock"),
    installationId: join(path, "installation-id"),
    runs: join(path, "runs"),
  };
}

/** Makes the folder, closed to everybody else. @throws {Fault} `state.unwritable` when it cannot be made or written to */
export function makeStateFolder({ path }: StateFolder): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // Not `recursive`: below /proc Node would try for ever (26.10).
    if (!existsSync(path)) mkdirSync(path, { mode: 0o700 });
    if (!statSync(path).isDirectory()) throw new Error(`Cannot use ${path}: it is a file, needs a folder`);
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    const told = `the state folder ${path} cannot be used; SLIPWAY_HOME moves it`;
    throw new Fault("state.unwritable", `Cannot keep state: ${told}`, { told, cause });
  }
}

/** Reads the name of this machine's environments, having made it the first time. */
export function ensureInstallationId({ installationId }: StateFolder): string {
  try {
    writeFileSync(installationId, `${randomBytes(8).toString("hex")}\n`, { flag: "wx", mode: 0o600, flush: true });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  return readFileSync(installationId, "utf8").trim();
}

/**
 * Makes the name of this run of the service and adds it to those of the state folder. By them a service knows what it has
 * made itself from what another has on a copy of the folder, which has the same installation id.
 */
export function beginRun({ runs }: StateFolder): { readonly current: string; readonly all: ReadonlySet<string> } {
  const current = randomBytes(8).toString("hex");
  appendFileSync(runs, `${current}\n`, { mode: 0o600, flush: true });
  return {
    current,
    all: new Set(
      readFileSync(runs, "utf8")
        .split("\n")
        .filter((line) => line !== ""),
    ),
  };
}
