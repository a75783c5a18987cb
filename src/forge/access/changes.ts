/**
 * Takes over what the store has: all of it at the start, then what other processes learn.
 *
 * Opened by `open-access.ts`. A fact is read again when somebody wrote it, and taken if it is newer than what is known
 * here; what became known cuts sessions here by the same way as an answer of the forge.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { ageOf } from "../../policy/access.ts";
import { type AccountFacts, type ForgeRef, idOfRef, type RepositoryFacts, type RoleFact } from "../../wire/forge.ts";
import type { KnowledgeChange, KnowledgeStore, SharedHint } from "../../wire/knowledge.ts";
import type { Known } from "./known.ts";
import type { Saving } from "./saving.ts";

export interface ChangesOptions {
  readonly store: KnowledgeStore;
  readonly known: Known;
  readonly saving: Saving;
  readonly clock: Clock;
  readonly log: Log;
  /** What the store knows of a forge that is not in the settings any more lets nobody in. */
  readonly isConnected: (forge: string) => boolean;
  readonly onHint: (hint: SharedHint) => void;
}

type Written = Exclude<KnowledgeChange, SharedHint>;

/** Facts that are read again at once. */
const READERS_MAX = 4;

/** After a store did not answer. A guess. */
const RETRY_MS = 1_000;

export class Changes {
  readonly #options: ChangesOptions;
  /** What is to be read, by name, so that many changes of one fact are one reading. */
  readonly #pending = new Map<string, Written>();
  readonly #readers = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #stopListening: (() => void) | undefined;
  #isLoaded = false;

  constructor(options: ChangesOptions) {
    this.#options = options;
  }

  /** Listens, then takes over all that there is. Rejects as the store does. */
  async load(): Promise<void> {
    this.#stopListening = this.#options.store.onChanged((change) => this.#queue(change));
    await this.#readAll();
    this.#isLoaded = true;
    this.#pump();
  }

  async close(): Promise<void> {
    this.#stopListening?.();
    this.#pending.clear();
    this.#stop.abort();
    await Promise.all(this.#readers);
  }

  #queue(change: KnowledgeChange): void {
    if (change.type === "everything") this.#pending.clear();
    if (change.type !== "everything" && !this.#options.isConnected(change.forge)) return;
    if (change.type === "hint") {
      this.#options.onHint(change);
      return;
    }
    this.#pending.set(change.type === "everything" ? "everything" : `${change.type} ${idOfRef(change)}`, change);
    this.#pump();
  }

  #pump(): void {
    while (this.#isLoaded && this.#readers.size < READERS_MAX && !this.#stop.signal.aborted) {
      const [next] = this.#pending;
      if (next === undefined) return;
      this.#pending.delete(next[0]);
      const reader = this.#read(next[1]).finally(() => {
        this.#readers.delete(reader);
        this.#pump();
      });
      this.#readers.add(reader);
    }
  }

  async #read(change: Written): Promise<void> {
    try {
      await this.#readOne(change);
    } catch (error) {
      const { clock, log } = this.#options;
      log.error("knowledge.unread", error);
      // A change that is not read might be a revocation: it stays to be read.
      await clock.sleep(RETRY_MS, this.#stop.signal).then(
        () => this.#queue(change),
        () => undefined,
      );
    }
  }

  async #readOne(change: Written): Promise<void> {
    const { store } = this.#options;
    switch (change.type) {
      case "everything":
        return this.#readAll();
      case "account": {
        const facts = await store.findAccount(change);
        if (facts !== undefined) this.#takeAccount(facts);
        return;
      }
      case "repository":
      case "roles": {
        // The time of the list first: roles of a later list are then taken for single answers, never for the older list.
        const facts = await store.findRepository(change);
        if (facts === undefined) return;
        this.#takeRepository(facts);
        if (change.type === "roles") await this.#readRoles(facts);
      }
    }
  }

  async #readRoles(facts: RepositoryFacts): Promise<void> {
    const { store, known } = this.#options;
    const roles = await store.findRoles(facts);
    for (const { accountId } of roles) {
      const account = { forge: facts.forge, id: accountId };
      if (known.accounts.find(account) !== undefined) continue;
      const found = await store.findAccount(account);
      if (found !== undefined) this.#takeAccount(found);
    }
    this.#takeRoles(facts, facts.rolesVerifiedAt, roles);
  }

  async #readAll(): Promise<void> {
    const { store, known, isConnected } = this.#options;
    const rolesVerifiedAt = new Map<string, number | undefined>();
    const repositories = await store.repositories();
    for (const facts of await store.accounts()) if (isConnected(facts.forge)) this.#takeAccount(facts);
    for (const facts of repositories) {
      if (!isConnected(facts.forge)) continue;
      this.#takeRepository(facts);
      rolesVerifiedAt.set(idOfRef(facts), facts.rolesVerifiedAt);
    }
    for await (const { repository, roles } of store.roles()) {
      if (known.repositories.find(repository) === undefined) continue;
      this.#takeRoles(repository, rolesVerifiedAt.get(idOfRef(repository)), roles);
      rolesVerifiedAt.delete(idOfRef(repository));
    }
    // Lists that nobody is on.
    for (const facts of repositories) {
      const verifiedAt = rolesVerifiedAt.get(idOfRef(facts));
      if (verifiedAt !== undefined) this.#takeRoles(facts, verifiedAt, []);
    }
  }

  #takeAccount(facts: AccountFacts): void {
    const { known, saving } = this.#options;
    const { stateVerifiedAt, keysVerifiedAt, keys, ...state } = facts;
    if (known.accounts.find(facts) === undefined) known.meet(facts, facts.login);
    if (this.#isPossible(stateVerifiedAt)) known.takeAccount(facts, { ...state, verifiedAt: stateVerifiedAt });
    if (this.#isPossible(keysVerifiedAt)) known.takeKeys(facts, { keys, verifiedAt: keysVerifiedAt });
    saving.loaded(`account ${idOfRef(facts)}`, Math.max(stateVerifiedAt, keysVerifiedAt ?? 0));
  }

  #takeRepository(facts: RepositoryFacts): void {
    const { known, saving } = this.#options;
    if (!this.#isPossible(facts.stateVerifiedAt)) return;
    known.takeRepository(facts, { ...facts, verifiedAt: facts.stateVerifiedAt });
    saving.loaded(`repository ${idOfRef(facts)}`, facts.stateVerifiedAt);
  }

  /** What was verified with the list is the list; what was verified later was answered by itself. */
  #takeRoles(repository: ForgeRef, listVerifiedAt: number | undefined, roles: readonly RoleFact[]): void {
    const { known, saving } = this.#options;
    // Those first: between the two nobody may seem to have lost a role.
    for (const role of roles) {
      const isLater = listVerifiedAt === undefined || role.verifiedAt > listVerifiedAt;
      if (!isLater || !this.#isPossible(role.verifiedAt)) continue;
      const { role: held, verifiedAt, source } = role;
      known.takeRole(repository, { forge: repository.forge, id: role.accountId }, { role: held, verifiedAt, source });
    }
    if (this.#isPossible(listVerifiedAt)) {
      const listed = roles.filter(({ verifiedAt, role }) => verifiedAt === listVerifiedAt && role !== "none");
      known.takeRoles(repository, { verifiedAt: listVerifiedAt, source: listed[0]?.source, roles: listed });
      saving.loaded(`roles ${idOfRef(repository)}`, listVerifiedAt);
    }
  }

  /** A time that cannot have been yet was written while a clock was wrong. */
  #isPossible(verifiedAt: number | undefined): verifiedAt is number {
    return verifiedAt !== undefined && ageOf(verifiedAt, this.#options.clock.now()) < Infinity;
  }
}
