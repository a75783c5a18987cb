/**
 * What forges said, kept in memory for several processes of one test, with the rules of `forge/knowledge.ts`: what was
 * verified later stays, and each process hears of what the others wrote.
 *
 * @module
 */
import type { Clock } from "../../src/base/clock.ts";
import type { KnowledgeChange, KnowledgeStore, RolesOf } from "../../src/wire/knowledge.ts";
import {
  type AccountFacts,
  type ForgeRef,
  idOfRef,
  type RepositoryFacts,
  type RoleFact,
} from "../../src/wire/forge.ts";

interface List {
  readonly verifiedAt: number;
  readonly source: string;
}

/** The database that the processes share. */
export class MemoryKnowledge {
  readonly #clock: Clock;
  readonly #accounts = new Map<string, AccountFacts>();
  readonly #repositories = new Map<string, RepositoryFacts>();
  readonly #lists = new Map<string, List>();
  /** By repository and account; without a time it stands in the list. */
  readonly #roles = new Map<string, Map<string, Omit<RoleFact, "verifiedAt"> & { verifiedAt: number | undefined }>>();
  readonly #leases = new Map<string, { readonly holder: string; readonly until: number }>();
  readonly #listeners = new Map<object, Set<(change: KnowledgeChange) => void>>();
  /** Writes so far, by what was written. */
  readonly writeCounts = { account: 0, repository: 0, roles: 0, role: 0 };
  /** While set, everything rejects with it. */
  failure: Error | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The store as one process sees it. */
  open(): KnowledgeStore {
    const process = {};
    const listeners = new Set<(change: KnowledgeChange) => void>();
    this.#listeners.set(process, listeners);
    const tell = (change: KnowledgeChange): void => this.#tell(process, change);
    return {
      accounts: async () => this.#read(() => [...this.#accounts.values()]),
      repositories: async () => this.#read(() => [...this.#repositories.keys()].flatMap((id) => this.#repository(id))),
      roles: () => this.#allRoles(),
      findAccount: async (account) => this.#read(() => this.#accounts.get(idOfRef(account))),
      findRepository: async (repository) => this.#read(() => this.#repository(idOfRef(repository))[0]),
      findRoles: async (repository) => this.#read(() => this.#rolesOf(idOfRef(repository))),
      saveAccount: async (facts) => this.#read(() => this.#saveAccount(facts, tell)),
      saveRepository: async (facts) => this.#read(() => this.#saveRepository(facts, tell)),
      saveRoles: async (repository, list) => this.#read(() => this.#saveRoles(repository, list, tell)),
      saveRole: async (repository, role) => this.#read(() => this.#saveRole(repository, role, tell)),
      tellHint: async (hint) => this.#read(() => tell(hint)),
      onChanged: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      holdLease: async (name, holder, ttlMs) => this.#read(() => this.#holdLease(name, { holder, ttlMs })),
    };
  }

  async #read<Value>(read: () => Value): Promise<Value> {
    await Promise.resolve();
    if (this.failure !== undefined) throw this.failure;
    return read();
  }

  async *#allRoles(): AsyncGenerator<RolesOf> {
    await Promise.resolve();
    for (const [id, facts] of this.#repositories) {
      const roles = this.#rolesOf(id);
      if (roles.length > 0) yield { repository: { forge: facts.forge, id: facts.id }, roles };
    }
  }

  #repository(id: string): RepositoryFacts[] {
    const facts = this.#repositories.get(id);
    return facts === undefined ? [] : [{ ...facts, rolesVerifiedAt: this.#lists.get(id)?.verifiedAt }];
  }

  #rolesOf(id: string): RoleFact[] {
    const list = this.#lists.get(id);
    return [...(this.#roles.get(id)?.values() ?? [])].map(({ verifiedAt, ...role }) =>
      verifiedAt === undefined ? { ...role, ...(list ?? { verifiedAt: 0, source: "" }) } : { ...role, verifiedAt },
    );
  }

  #saveAccount(facts: AccountFacts, tell: (change: KnowledgeChange) => void): void {
    this.writeCounts.account += 1;
    const id = idOfRef(facts);
    const before = this.#accounts.get(id);
    const { login, fullName, email, state, stateVerifiedAt, keys, keysVerifiedAt } = facts;
    let after = before ?? facts;
    if (stateVerifiedAt >= after.stateVerifiedAt) after = { ...after, login, fullName, email, state, stateVerifiedAt };
    if ((keysVerifiedAt ?? -1) >= (after.keysVerifiedAt ?? -1)) after = { ...after, keys, keysVerifiedAt };
    this.#accounts.set(id, after);
    tell({ type: "account", forge: facts.forge, id: facts.id });
  }

  #saveRepository(facts: RepositoryFacts, tell: (change: KnowledgeChange) => void): void {
    this.writeCounts.repository += 1;
    const before = this.#repositories.get(idOfRef(facts));
    if (before !== undefined && before.stateVerifiedAt > facts.stateVerifiedAt) return;
    this.#repositories.set(idOfRef(facts), facts);
    tell({ type: "repository", forge: facts.forge, id: facts.id });
  }

  #saveRoles(
    repository: ForgeRef,
    list: Parameters<KnowledgeStore["saveRoles"]>[1],
    tell: (change: KnowledgeChange) => void,
  ): void {
    this.writeCounts.roles += 1;
    const id = idOfRef(repository);
    const { verifiedAt, source } = list;
    if ((this.#lists.get(id)?.verifiedAt ?? -1) > verifiedAt) return;
    this.#lists.set(id, { verifiedAt, source });
    const later = [...(this.#roles.get(id) ?? [])].filter(([, role]) => (role.verifiedAt ?? -1) > verifiedAt);
    const listed = list.roles.map((role) => [role.accountId, { ...role, verifiedAt: undefined, source }] as const);
    this.#roles.set(id, new Map([...listed, ...later]));
    tell({ type: "roles", forge: repository.forge, id: repository.id });
  }

  #saveRole(repository: ForgeRef, role: RoleFact, tell: (change: KnowledgeChange) => void): void {
    this.writeCounts.role += 1;
    const id = idOfRef(repository);
    const before = this.#rolesOf(id).find(({ accountId }) => accountId === role.accountId)?.verifiedAt;
    if (Math.max(before ?? -1, this.#lists.get(id)?.verifiedAt ?? -1) > role.verifiedAt) return;
    this.#roles.set(id, new Map([...(this.#roles.get(id) ?? []), [role.accountId, role]]));
    tell({ type: "roles", forge: repository.forge, id: repository.id });
  }

  #holdLease(name: string, { holder, ttlMs }: { readonly holder: string; readonly ttlMs: number }): boolean {
    const now = this.#clock.elapsed();
    const held = this.#leases.get(name);
    if (held !== undefined && held.holder !== holder && held.until > now) return false;
    this.#leases.set(name, { holder, until: now + ttlMs });
    return true;
  }

  #tell(from: object, change: KnowledgeChange): void {
    for (const [process, listeners] of this.#listeners) {
      if (process === from) continue;
      for (const listener of listeners) queueMicrotask(() => listener(change));
    }
  }
}
