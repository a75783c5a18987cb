/**
 * Where everything that outlives the process is kept: one folder, private to the service.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

export interface StateFolder {
  readonly path: string;
  readonly database: string;
  readonly auditLog: string;
  readonly hostKeys: string;
  readonly gatewayKey: string;
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
  };
}

/** Makes the folder, closed to everybody else. */
export function makeStateFolder(state: StateFolder): void {
  mkdirSync(state.path, { recursive: true, mode: 0o700 });
}
