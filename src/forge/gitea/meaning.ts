/**
 * What the answers of Gitea and Forgejo mean in our words. Pure.
 *
 * @module
 */
import type { ForgeSettings } from "../../wire/forge-settings.ts";
import type { ForgeAccount, ForgeRepository, ForgeRole } from "../../wire/forge.ts";
import type { Account, PublicKey, Repository, Team } from "./shapes.ts";

const ORDER: readonly ForgeRole[] = ["none", "read", "write", "admin"];

/** The higher of two roles. */
export function higherOf(one: ForgeRole, other: ForgeRole): ForgeRole {
  return ORDER.indexOf(one) >= ORDER.indexOf(other) ? one : other;
}

/** Reads an access mode: models/perm/access_mode.go. One that is not known is none. */
export function roleOf(mode: string): ForgeRole {
  if (mode === "owner" || mode === "admin") return "admin";
  return mode === "write" || mode === "read" ? mode : "none";
}

/**
 * Says what members of a team may do with the code of its repositories. Teams may be allowed issues and no code, so
 * the mode of the unit counts; administrators have all units.
 */
export function roleOfTeam({ permission, units_map: units }: Team): ForgeRole {
  const role = roleOf(permission);
  return role === "admin" ? role : roleOf(units?.["repo.code"] ?? "none");
}

/** Reads a repository; its address for git is made from the settings, so that the token goes nowhere else. */
export function repositoryOf({ id, name, owner, ...flags }: Repository, url: string): ForgeRepository {
  const path = `${encodeURIComponent(owner.login)}/${encodeURIComponent(name)}`;
  const cloneUrl = `${url}/${path}.git`;
  return { id: String(id), owner: owner.login, name, cloneUrl, isPrivate: flags.private, isArchived: flags.archived };
}

/** Says whether the settings connect a repository. Names do not tell case apart. */
export function isConnected({ owner, name }: Repository, { organizations, repositories }: ForgeSettings): boolean {
  const [login, path] = [owner.login.toLowerCase(), `${owner.login}/${name}`.toLowerCase()];
  return (
    organizations.some((organization) => organization.toLowerCase() === login) ||
    repositories.some((repository) => repository.toLowerCase() === path)
  );
}

/** Lists the single repositories of the settings that are, or were, the same owner's: a rename leads from there. */
export function entriesBeside({ owner }: Repository, { repositories }: ForgeSettings): readonly string[] {
  return repositories.filter((entry) => entry.toLowerCase().startsWith(`${owner.login.toLowerCase()}/`));
}

export function accountOf(account: Account, isSuspended: boolean): ForgeAccount {
  const { id, login } = account;
  const email = inOneLine(account.email ?? "") || `${login}@noreply.invalid`;
  return { id: String(id), login, fullName: inOneLine(account.full_name ?? "") || login, email, isSuspended };
}

/** Lists the keys that may log in. Where the kind is told, it is the account's own and may push. */
export function keysOf(keys: readonly PublicKey[]): string[] {
  return keys
    .filter(({ key_type, read_only }) => (key_type ?? "user") === "user" && read_only !== true)
    .map(({ key }) => key);
}

/** Names and addresses go into git's settings, where a line's end would begin another one. */
function inOneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ").trim();
}
