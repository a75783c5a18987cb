/**
 * Everything that the forges said, in memory: the latest of each fact, whatever order answers come in.
 *
 * Filled with answers by `asking.ts` and from the store by `changes.ts`; read by all of `access/`. It decides nothing.
 * What was verified later wins; a time in the future, written while a clock was wrong, wins over nothing. Of two answers
 * of one millisecond that differ nobody knows which is later: the stricter one counts until it is asked again.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { isAtLeast } from "../../policy/access.ts";
import type { AccountFacts, ForgeRef, ForgeRepository, ForgeRole, RepositoryFacts } from "../../wire/forge.ts";
import { type KnownAccount, KnownAccounts } from "./known-accounts.ts";
import { KnownRepositories, type KnownRepository } from "./known-repositories.ts";
import type { KnownRole } from "./role-table.ts";

/** What came to be known. Not told: that something is still as it was. */
export type Change =
  | { readonly type: "account"; readonly account: ForgeRef }
  | { readonly type: "repository"; readonly repository: ForgeRef }
  | { readonly type: "role"; readonly repository: ForgeRef; readonly account: ForgeRef }
  | { readonly type: "roles"; readonly repository: ForgeRef }
  /** A key that more than one account lists. */
  | { readonly type: "shared"; readonly accounts: readonly AccountFacts[] };

/** What became of something that was learned: it came too late, said nothing new, or did. */
export type Taken = "late" | "same" | "changed";

export type AccountState = Pick<AccountFacts, "login" | "fullName" | "email" | "state"> & {
  readonly verifiedAt: number;
  readonly source?: string;
};

export interface Keys {
  readonly keys: readonly string[];
  readonly verifiedAt: number;
  readonly source?: string;
}

export type RepositoryState = Pick<RepositoryFacts, "owner" | "name" | "cloneUrl" | "isPrivate" | "state"> & {
  readonly verifiedAt: number;
  readonly source?: string;
};

export interface Roles {
  readonly verifiedAt: number;
  readonly source: string | undefined;
  readonly roles: readonly { readonly accountId: string; readonly role: ForgeRole }[];
}

export class Known {
  readonly accounts = new KnownAccounts();
  readonly repositories = new KnownRepositories();
  readonly #clock: Clock;
  readonly #listeners = new Set<(change: Change) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns a function that stops it */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  role(repository: ForgeRef, account: ForgeRef): KnownRole | undefined {
    const known = this.accounts.find(account);
    return known && this.repositories.find(repository)?.roles.find(known.number);
  }

  /** Adds an account of which a list tells the number and the name, or takes over its new name. @returns whether it is new */
  meet(account: ForgeRef, login: string): boolean {
    const known = this.accounts.find(account);
    if (known === undefined) {
      this.accounts.add(strangerOf(account, login));
      return true;
    }
    if (known.facts.login !== login) this.accounts.set(known, { ...known.facts, login });
    return false;
  }

  takeAccount(account: ForgeRef, said: AccountState): Taken {
    const known = this.accounts.find(account) ?? this.accounts.add(strangerOf(account, said.login));
    const { facts } = known;
    if (!this.#isNews(said.verifiedAt, facts.stateVerifiedAt)) return "late";
    if (said.verifiedAt === facts.stateVerifiedAt && facts.state !== "active") return "late";
    const { login, fullName, email, state, verifiedAt } = said;
    known.stateSource = said.source;
    const isSame =
      facts.state === state && facts.login === login && facts.fullName === fullName && facts.email === email;
    this.#setAccount(known, { ...facts, login, fullName, email, state, stateVerifiedAt: verifiedAt }, isSame);
    return isSame ? "same" : "changed";
  }

  takeKeys(account: ForgeRef, said: Keys): Taken {
    const known = this.accounts.find(account);
    if (known === undefined || !this.#isNews(said.verifiedAt, known.facts.keysVerifiedAt)) return "late";
    const { facts } = known;
    const isTie = said.verifiedAt === facts.keysVerifiedAt;
    const listed = isTie ? said.keys.filter((key) => facts.keys.includes(key)) : said.keys;
    const isSame = facts.keysVerifiedAt !== undefined && isSameSet(facts.keys, listed);
    known.keysSource = said.source;
    const keys = isSame ? facts.keys : listed;
    this.#setAccount(known, { ...facts, keys, keysVerifiedAt: said.verifiedAt }, isSame);
    return isSame ? "same" : "changed";
  }

  takeRepository(repository: ForgeRef, said: RepositoryState): Taken {
    const known = this.repositories.find(repository);
    if (known !== undefined && !this.#isNews(said.verifiedAt, known.facts.stateVerifiedAt)) return "late";
    if (said.verifiedAt === known?.facts.stateVerifiedAt && known.facts.state !== "connected") return "late";
    const { owner, name, cloneUrl, isPrivate, state, verifiedAt } = said;
    const rolesVerifiedAt = known?.facts.rolesVerifiedAt;
    const { forge, id } = repository;
    const facts = { forge, id, owner, name, cloneUrl, isPrivate, state, stateVerifiedAt: verifiedAt, rolesVerifiedAt };
    const isSame = known !== undefined && isSameRepository(known.facts, facts);
    const set = known ?? this.repositories.add(facts);
    if (known !== undefined) this.repositories.set(known, facts);
    set.stateSource = said.source;
    if (!isSame) this.#tell({ type: "repository", repository: refOf(repository) });
    return isSame ? "same" : "changed";
  }

  /** Takes one account's role. The account has to be known. */
  takeRole(repository: ForgeRef, account: ForgeRef, said: KnownRole): Taken {
    const table = this.repositories.find(repository)?.roles;
    const number = this.accounts.find(account)?.number;
    if (table === undefined || number === undefined) return "late";
    const before = table.find(number);
    if (before !== undefined && !this.#isNews(said.verifiedAt, before.verifiedAt)) return "late";
    if (before?.verifiedAt === said.verifiedAt && !isAtLeast(before.role, said.role)) return "late";
    table.set(number, said);
    if (before?.role === said.role) return "same";
    this.#tell({ type: "role", repository: refOf(repository), account: refOf(account) });
    return "changed";
  }

  /** Takes a complete list. Accounts that it names and that are not known are left out: they are to be met first. */
  takeRoles(repository: ForgeRef, said: Roles): Taken {
    const known = this.repositories.find(repository);
    if (known === undefined || !this.#isNews(said.verifiedAt, known.roles.listVerifiedAt)) return "late";
    const roles = said.roles.flatMap(({ accountId, role }) => {
      const number = this.accounts.find({ forge: repository.forge, id: accountId })?.number;
      return number === undefined ? [] : [[number, role] as const];
    });
    const now = this.#clock.now();
    const isChanged = known.roles.setList({ ...said, roles }, (single, listed) => {
      if (single.verifiedAt === said.verifiedAt) return !isAtLeast(single.role, listed);
      return single.verifiedAt > said.verifiedAt && single.verifiedAt <= now;
    });
    this.repositories.set(known, { ...known.facts, rolesVerifiedAt: said.verifiedAt });
    if (isChanged) this.#tell({ type: "roles", repository: refOf(repository) });
    return isChanged ? "changed" : "same";
  }

  #setAccount(known: KnownAccount, facts: AccountFacts, isSame: boolean): void {
    const before = known.facts;
    const others = this.accounts.set(known, facts);
    if (!isSame) this.#tell({ type: "account", account: refOf(facts) });
    for (const { facts: other } of others) {
      this.#tell({ type: "account", account: refOf(other) });
      const isNew = facts.keys.some(
        (key) => other.keys.includes(key) && (!before.keys.includes(key) || facts.state !== before.state),
      );
      if (isNew && facts.state !== "gone" && other.state !== "gone")
        this.#tell({ type: "shared", accounts: [other, facts] });
    }
  }

  #isNews(verifiedAt: number, before: number | undefined): boolean {
    return before === undefined || verifiedAt >= before || before > this.#clock.now();
  }

  #tell(change: Change): void {
    for (const listener of [...this.#listeners]) listener(change);
  }
}

/** The repository as the forge's clients take it. */
export function forgeRepositoryOf({ id, owner, name, cloneUrl, isPrivate, state }: RepositoryFacts): ForgeRepository {
  return { id, owner, name, cloneUrl, isPrivate, isArchived: state === "archived" };
}

/** The accounts of a forge that have at least this role, or had it lately, in one of its repositories. */
export function accountsWithRole(known: Known, forge: string, least: ForgeRole): KnownAccount[] {
  const marks = new Uint8Array(known.accounts.size + 3);
  for (const { facts, roles } of known.repositories.all()) {
    if (facts.forge !== forge || facts.state === "gone") continue;
    roles.mark(marks, least);
  }
  return known.accounts.all().filter(({ number }) => marks[number] === 1);
}

/** Names the fact without whatever else an object has. */
export function refOf({ forge, id }: ForgeRef): ForgeRef {
  return { forge, id };
}

/** Everybody with a role in a repository. */
export function* membersOf(
  known: Known,
  { roles }: KnownRepository,
): Generator<{ readonly account: KnownAccount; readonly role: ForgeRole }> {
  for (const [number, role] of roles.entries()) {
    const account = known.accounts.at(number);
    if (account !== undefined) yield { account, role };
  }
}

/** Somebody of whom the forge told no more than the name. */
function strangerOf({ forge, id }: ForgeRef, login: string): AccountFacts {
  const never = { stateVerifiedAt: 0, keysVerifiedAt: undefined };
  return { forge, id, login, fullName: login, email: "", state: "active", keys: [], ...never };
}

function isSameSet(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && other.every((key) => one.includes(key));
}

function isSameRepository(one: RepositoryFacts, other: RepositoryFacts): boolean {
  return (
    one.owner === other.owner &&
    one.name === other.name &&
    one.cloneUrl === other.cloneUrl &&
    one.isPrivate === other.isPrivate &&
    one.state === other.state
  );
}
