/**
 * What somebody may use at their forge by what is known, for themselves. Asks nobody.
 *
 * Called by `directory.ts` alone.
 *
 * @module
 */
import type { ForgeRef, ForgeRole } from "../wire/forge.ts";
import type { Access } from "./access/access.ts";

/** A repository that somebody may use; with a role it is one of a forge, and known at that time, epoch ms. */
export interface KnownUse {
  readonly name: string;
  readonly role?: Exclude<ForgeRole, "none">;
  readonly verifiedAt?: number;
}

/** Lists where an account has a role that lets it in. */
export function knownRoles(access: Pick<Access, "repositories" | "judge">, account: ForgeRef): KnownUse[] {
  return [...access.repositories()].flatMap((facts) => {
    if (facts.forge !== account.forge) return [];
    const decision = access.judge({ account, repository: facts });
    if (!decision.allowed || decision.role === "none") return [];
    return [{ name: `${facts.owner}/${facts.name}`, role: decision.role, verifiedAt: decision.verifiedAt }];
  });
}
