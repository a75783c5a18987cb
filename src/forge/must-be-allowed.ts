/**
 * Ends whatever somebody may not do, with the sentence of whoever decided so.
 *
 * Called by `gateway/admit.ts` and `controller/environments.ts`.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import type { Use } from "./directory.ts";

/**
 * Passes when somebody may use what they asked for.
 *
 * @param act what was to be done, as in "Cannot admit"
 * @throws {Fault} `grant.absent`, or `forge.unreached` when nobody could say, told to the person
 */
export function mustBeAllowed(use: Use, act: string): void {
  if (use.allowed) return;
  throw new Fault(use.isUnverified ? "forge.unreached" : "grant.absent", `${act}: ${use.told}`, { told: use.told });
}
