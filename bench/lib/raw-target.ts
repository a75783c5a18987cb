/**
 * Where the raw client finds the service of the benchmark.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import type { RawTarget } from "./raw-client.ts";
import type { Bench } from "./row.ts";

/** The environment that every row uses. */
export function rawTargetOf({ service, ours }: Bench): RawTarget {
  const line = readFileSync(service.knownHosts, "utf8")
    .split("\n")
    .find((candidate) => candidate.includes(" ssh-ed25519 "));
  const [, , hostKey] = line?.split(" ") ?? [];
  const [user] = ours.destination.split("@");
  if (hostKey === undefined || user === undefined) throw new Error("Cannot find the Ed25519 host key of the service");
  return { port: service.port, user, hostKey, identityFile: ours.client.identityFile };
}
