/**
 * Keeps what environments put into the kernel's keyrings from whoever has their user number next: keyrings(7).
 *
 * Called when an environment is made and destroyed. That no process of one has the keyring of the service's session is
 * `enter.sh`'s to see to.
 *
 * @module
 */
import { findProgram } from "./machine.ts";
import type { Identity } from "./privileges.ts";
import { runProgram } from "../program.ts";

/** A keyring that its owner has closed to itself cannot be cleared, but made to vanish: keyctl_invalidate(3). */
const CLEAR = "for ring in @us @u; do keyctl clear $ring || keyctl invalidate $ring; done";

/**
 * Empties the keyrings of a user number, which outlive all its processes. An ordinary user's environments have theirs in
 * a user namespace, and they end with it.
 */
export async function clearKeyrings(identity: Identity, uid: number): Promise<void> {
  if (identity.mode === "user" || findProgram("keyctl") === undefined) return;
  const become = ["setpriv", "--reuid", String(uid), "--regid", String(uid), "--clear-groups"];
  // A keyring of a session of its own, so that what is in the service's is possessed by nothing that runs as that user.
  await runProgram(["keyctl", "session", "-", ...become, "sh", "-c", CLEAR]);
}

/** Names what environments of this machine go without for want of `keyctl`. */
export function findKeyringLacks(): string[] {
  if (findProgram("keyctl") !== undefined) return [];
  return ["no keyrings of their own: keyctl missing (Debian package: keyutils)"];
}
