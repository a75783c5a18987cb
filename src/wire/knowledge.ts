/**
 * Where what forges said is kept, so that a restart forgets nothing and several gateways share it. `store/` keeps it and
 * `forge/` asks for it; as neither imports the other, what they agreed on is here.
 *
 * @module
 */
import type { AccountFacts, ForgeRef, RepositoryFacts, RoleFact } from "./forge.ts";

export interface KnowledgeStore {
  accounts(): Promise<AccountFacts[]>;
  repositories(): Promise<RepositoryFacts[]>;
  /** All roles, a repository at a time; those without a role are left out. */
  roles(): AsyncIterable<RolesOf>;
  findAccount(account: ForgeRef): Promise<AccountFacts | undefined>;
  findRepository(repository: ForgeRef): Promise<RepositoryFacts | undefined>;
  findRoles(repository: ForgeRef): Promise<readonly RoleFact[]>;
  /**
   * Writes what was learned, durable when it resolves. What was verified later stays: an answer that was asked for
   * earlier and came late overwrites nothing. State and keys of an account are told apart in this.
   */
  saveAccount(facts: AccountFacts): Promise<void>;
  /** `rolesVerifiedAt` is not written by this: only a list, saved by `saveRoles`, moves it. */
  saveRepository(facts: RepositoryFacts): Promise<void>;
  /** Replaces every role of a repository that was verified before `verifiedAt` by this complete list. */
  saveRoles(repository: ForgeRef, list: CompleteRoles): Promise<void>;
  saveRole(repository: ForgeRef, role: RoleFact): Promise<void>;
  /** Tells the other processes of a hint: whom it is about may have a live session there and none here. */
  tellHint(hint: SharedHint): Promise<void>;
  /** Calls back for each change that another process wrote or hint that it told; `everything` when some may have been missed. */
  onChanged(listener: (change: KnowledgeChange) => void): () => void;
  /** Takes or keeps a lease for `ttlMs` of the database's clock. With 0 the holder lets go. `false`: somebody else has it. */
  holdLease(name: string, holder: string, ttlMs: number): Promise<boolean>;
}

export interface RolesOf {
  readonly repository: ForgeRef;
  readonly roles: readonly RoleFact[];
}

export interface CompleteRoles {
  readonly verifiedAt: number;
  readonly source: string;
  /** Those with another role than `none`. */
  readonly roles: readonly Pick<RoleFact, "accountId" | "role">[];
}

/** `id`: the account whose roles may have changed; empty: anybody's, in any repository of the forge. */
export interface SharedHint extends ForgeRef {
  readonly type: "hint";
}

export type KnowledgeChange =
  (ForgeRef & { readonly type: "account" | "repository" | "roles" }) | SharedHint | { readonly type: "everything" };

/** Where a client keeps answers for conditional requests; survives restarts. Bodies are JSON, cut down to what is read. */
export interface AnswerCache {
  read(url: string): Promise<CachedAnswer | undefined>;
  write(url: string, answer: CachedAnswer): Promise<void>;
}

export interface CachedAnswer {
  readonly etag: string;
  readonly body: string;
  /** Address of the next page. */
  readonly next?: string;
}
