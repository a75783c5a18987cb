/**
 * Writes what was learned to the store, for a restart and for other processes.
 *
 * Called by `asking.ts` alone. A change is written at once. That something is still so is written now and then only:
 * after a crash the grace time then counts from a little earlier than it could, and live sessions write nothing while
 * nothing changes. A write that fails is logged; memory holds what was learned, and the next answer is written again.
 *
 * @module
 */
import type { Log } from "../../base/log.ts";
import { type ForgeRef, idOfRef, type RoleFact } from "../../wire/forge.ts";
import type { CompleteRoles, KnowledgeStore } from "../../wire/knowledge.ts";
import type { Known, Taken } from "./known.ts";

export interface SavingOptions {
  readonly store: KnowledgeStore;
  readonly known: Known;
  readonly log: Log;
  /** How much older than memory the store may be where nothing changed. */
  readonly renewMs: (forge: string) => number;
}

interface Learned {
  readonly taken: Taken;
  readonly verifiedAt: number;
  /** Name of a list that says the same, if it was written. */
  readonly within?: string;
}

export class Saving {
  readonly #options: SavingOptions;
  /** When what the store has was verified, by the name of the fact. */
  readonly #savedAt = new Map<string, number>();
  /** Latest write of each fact that is not done. */
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(options: SavingOptions) {
    this.#options = options;
  }

  /** Tells that the store has this already. */
  loaded(name: string, verifiedAt: number): void {
    this.#savedAt.set(name, verifiedAt);
  }

  account(account: ForgeRef, taken: Taken): void {
    const facts = this.#options.known.accounts.find(account)?.facts;
    if (facts === undefined) return;
    const verifiedAt = Math.max(facts.stateVerifiedAt, facts.keysVerifiedAt ?? 0);
    const name = `account ${idOfRef(account)}`;
    if (this.#isWorth(account, name, { taken, verifiedAt })) this.#keep(name, this.#account(account));
  }

  repository(repository: ForgeRef, taken: Taken): void {
    const facts = this.#options.known.repositories.find(repository)?.facts;
    if (facts === undefined) return;
    const name = `repository ${idOfRef(repository)}`;
    const isWorth = this.#isWorth(repository, name, { taken, verifiedAt: facts.stateVerifiedAt });
    if (isWorth) this.#keep(name, this.#repository(repository));
  }

  roles(repository: ForgeRef, list: CompleteRoles, taken: Taken): void {
    const name = `roles ${idOfRef(repository)}`;
    if (!this.#isWorth(repository, name, { taken, verifiedAt: list.verifiedAt })) return;
    const accounts = list.roles.map(({ accountId }) => ({ forge: repository.forge, id: accountId }));
    this.#keep(
      name,
      this.#after(repository, accounts, () => this.#options.store.saveRoles(repository, list)),
    );
  }

  role(repository: ForgeRef, role: RoleFact, taken: Taken): void {
    const account = { forge: repository.forge, id: role.accountId };
    const name = `role ${idOfRef(repository)} ${idOfRef(account)}`;
    const learned = { taken, verifiedAt: role.verifiedAt, within: `roles ${idOfRef(repository)}` };
    if (!this.#isWorth(repository, name, learned)) return;
    this.#keep(
      name,
      this.#after(repository, [account], () => this.#options.store.saveRole(repository, role)),
    );
  }

  /** Waits until everything is written, or has failed to be. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay.values());
  }

  #isWorth({ forge }: ForgeRef, name: string, { taken, verifiedAt, within }: Learned): boolean {
    if (taken === "late") return false;
    const savedAt = this.#savedAt.get(name) ?? this.#savedAt.get(within ?? "");
    const age = savedAt === undefined ? Infinity : Math.abs(verifiedAt - savedAt);
    if (taken === "same" && age < this.#options.renewMs(forge)) return false;
    this.#savedAt.set(name, verifiedAt);
    return true;
  }

  /** A role is of a repository and an account that the store has. */
  async #after(repository: ForgeRef, accounts: readonly ForgeRef[], save: () => Promise<void>): Promise<void> {
    const name = `repository ${idOfRef(repository)}`;
    await this.#underWay.get(name);
    if (!this.#savedAt.has(name)) await this.#repository(repository);
    for (const account of accounts) {
      const accountName = `account ${idOfRef(account)}`;
      const writing = this.#underWay.get(accountName);
      if (writing !== undefined) await writing;
      if (!this.#savedAt.has(accountName)) await this.#account(account);
    }
    await save();
  }

  async #account(account: ForgeRef): Promise<void> {
    const facts = this.#options.known.accounts.find(account)?.facts;
    if (facts === undefined) return;
    await this.#options.store.saveAccount(facts);
    this.#mark(`account ${idOfRef(account)}`, Math.max(facts.stateVerifiedAt, facts.keysVerifiedAt ?? 0));
  }

  async #repository(repository: ForgeRef): Promise<void> {
    const facts = this.#options.known.repositories.find(repository)?.facts;
    if (facts === undefined) return;
    await this.#options.store.saveRepository(facts);
    this.#mark(`repository ${idOfRef(repository)}`, facts.stateVerifiedAt);
  }

  #mark(name: string, verifiedAt: number): void {
    if (!this.#savedAt.has(name)) this.#savedAt.set(name, verifiedAt);
  }

  #keep(name: string, writing: Promise<void>): void {
    const kept = writing
      .catch((error: unknown) => {
        this.#options.log.error("knowledge.unsaved", error);
        // What was not written is owed: the next answer of whatever kind is written again.
        this.#savedAt.clear();
      })
      .finally(() => {
        if (this.#underWay.get(name) === kept) this.#underWay.delete(name);
      });
    this.#underWay.set(name, kept);
  }
}
