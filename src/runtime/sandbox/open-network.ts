/**
 * Chooses which network environments have on this machine.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import type { Log } from "../../base/log.ts";
import { findProgram } from "./machine.ts";
import { openNat } from "./nat.ts";
import { makeLoopback } from "./network.ts";
import type { Network } from "./network.ts";
import type { Identity } from "./privileges.ts";

/** `auto`: NAT where this machine can, loopback only otherwise. `nat`: or not at all. */
export type NetworkChoice = "auto" | "nat" | "loopback";

/**
 * Chooses the network of this machine.
 *
 * @throws {Fault} `runtime.unable` when `nat` is wanted and cannot be had
 */
export async function openNetwork(
  choice: NetworkChoice,
  { identity, stateDir, log }: { identity: Identity; stateDir: string; log: Log },
): Promise<Network> {
  const lacks = findProgram("ip") === undefined ? ["no loopback: ip missing (Debian package: iproute2)"] : [];
  if (choice === "loopback") return makeLoopback(lacks);
  const why = "an ordinary user cannot make it";
  const nat = identity.mode === "root" ? await openNat(stateDir, log) : why;
  if (typeof nat !== "string") return nat;
  const told = `no network beyond its own loopback: ${nat}`;
  if (choice === "nat") throw new Fault("runtime.unable", `Cannot give environments a network: ${nat}`, { told });
  return makeLoopback([...lacks, told]);
}
