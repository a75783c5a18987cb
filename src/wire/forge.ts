/**
 * What a forge (GitHub, GitLab, Gitea) says about accounts, keys, repositories and rights, in our words: the shapes that
 * `forge/` and `store/` share.
 *
 * An account or a repository is its number at the forge, never its name: names are given up and registered anew by
 * others. All times are epoch ms; a fact was *verified* when the request whose answer it is was sent, not when the answer
 * came, so that nothing that happened on the way counts as seen.
 *
 * @module
 */

export type ForgeType = "github" | "gitlab" | "gitea";

/** What somebody may do with a repository. `write` is to push to branches; `admin` to administer as well. */
export type ForgeRole = "none" | "read" | "write" | "admin";

/** An account or a repository of one forge. */
export interface ForgeRef {
  /** Name of the forge in the settings. */
  readonly forge: string;
  /** Its number at the forge, in decimal. */
  readonly id: string;
}

/** Writes the id by which the rest of Slipway knows an account (as a person) or a repository: `github.583231`. */
export function idOfRef({ forge, id }: ForgeRef): string {
  return `${forge}.${id}`;
}

/** What a forge says of an account. */
export interface ForgeAccount {
  readonly id: string;
  readonly login: string;
  /** For git; one line; the login when the account says none. */
  readonly fullName: string;
  /** For git; one line. */
  readonly email: string;
  readonly isSuspended: boolean;
}

/** What a forge says of a repository. */
export interface ForgeRepository {
  readonly id: string;
  readonly owner: string;
  readonly name: string;
  /** https, without credentials. */
  readonly cloneUrl: string;
  readonly isPrivate: boolean;
  readonly isArchived: boolean;
}

/** One entry of a complete list of those who have any role. */
export interface Collaborator {
  readonly id: string;
  readonly login: string;
  readonly role: ForgeRole;
}

/** What is known of an account. */
export interface AccountFacts extends ForgeRef {
  readonly login: string;
  readonly fullName: string;
  readonly email: string;
  /** `gone`: the forge says that there is no such account. */
  readonly state: "active" | "suspended" | "gone";
  readonly stateVerifiedAt: number;
  /** Public keys in wire form, base64, of kinds that may log in; as complete as the forge's own list. */
  readonly keys: readonly string[];
  /** `undefined`: never asked with success. */
  readonly keysVerifiedAt: number | undefined;
}

/** What is known of a repository. */
export interface RepositoryFacts extends ForgeRef {
  readonly owner: string;
  readonly name: string;
  readonly cloneUrl: string;
  readonly isPrivate: boolean;
  /** `gone`: deleted, moved to an owner that is not connected, or no longer shown to us. */
  readonly state: "connected" | "archived" | "gone";
  readonly stateVerifiedAt: number;
  /** When the complete list of collaborators was verified last; `undefined`: never. */
  readonly rolesVerifiedAt: number | undefined;
}

/** One account's role in one repository, asked for by itself or taken from a complete list. */
export interface RoleFact {
  readonly accountId: string;
  readonly role: ForgeRole;
  readonly verifiedAt: number;
  /** The request that it was answered by, as in `GET /repos/acme/shop/collaborators/ada/permission`. */
  readonly source: string;
}
