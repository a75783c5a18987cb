/**
 * What GitHub's roles mean to us. Pure.
 *
 * @module
 */
import type { ForgeRole } from "../../wire/forge.ts";

/** As answers have it. */
export interface GivenRole {
  readonly permissions?:
    | {
        readonly pull: boolean;
        readonly triage?: boolean | undefined;
        readonly push: boolean;
        readonly maintain?: boolean | undefined;
        readonly admin: boolean;
      }
    | undefined;
  /** `admin`, `maintain`, `write`, `triage`, `read`, `none`, or the name of a role of an organisation's own. */
  readonly role_name?: string | undefined;
  /** The older word, of four: `admin`, `write`, `read`, `none`. */
  readonly permission?: string | undefined;
}

const NAMED = new Map<string, ForgeRole>([
  ["admin", "admin"],
  ["maintain", "write"],
  ["write", "write"],
  ["push", "write"],
  ["triage", "read"],
  ["read", "read"],
  ["pull", "read"],
  ["none", "none"],
]);

/**
 * Reads a role. What the role may do counts more than its name, since organisations name roles of their own.
 *
 * @returns `undefined` when neither flags nor a known name are there
 */
export function roleOf({ permissions, role_name: name, permission }: GivenRole): ForgeRole | undefined {
  // Flags of somebody who is no collaborator are those that everybody has; the older word is then "none".
  if (permission === "none") return "none";
  if (permissions === undefined) return NAMED.get(name ?? "") ?? NAMED.get(permission ?? "");
  if (permissions.admin) return "admin";
  if (permissions.push || permissions.maintain === true) return "write";
  return permissions.pull || permissions.triage === true ? "read" : "none";
}
