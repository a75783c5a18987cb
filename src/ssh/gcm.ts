/**
 * When bulk moves to the faster cipher: docs/decisions/0005. Pure.
 *
 * @module
 */
import { ciphers } from "./ciphers.ts";
import type { Agreement, Proposal } from "./negotiate.ts";

/** The ciphers to move to. */
export const gcmNames: readonly string[] = [...ciphers].filter(([, { mode }]) => mode === "gcm").map(([name]) => name);

function hasGcm(names: readonly string[]): boolean {
  return names.some((name) => gcmNames.includes(name));
}

/** Says whether a peer that chose otherwise can be moved to GCM both ways. */
export function canMoveToGcm(identification: string, offered: Proposal, agreed: Agreement): boolean {
  // Only OpenSSH: it is known to take a new exchange at any moment.
  if (!identification.startsWith("SSH-2.0-OpenSSH_")) return false;
  if (hasGcm([agreed.cipherToServer]) && hasGcm([agreed.cipherToClient])) return false;
  return hasGcm(offered.cipherToServer) && hasGcm(offered.cipherToClient);
}
