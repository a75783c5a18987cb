/**
 * Asks a forge for one fact, and applies the answer to what is known and what is kept.
 *
 * Called by everything in `access/` that wants to know; nothing else asks about people. Whoever wants the same fact at
 * the same time shares one request. Which of two answers counts is for `known.ts` to say.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import { isAtLeast } from "../../policy/access.ts";
import { readAuthorizedKey } from "../../wire/authorized-keys.ts";
import type { ForgeSettings } from "../../wire/forge-settings.ts";
import { type ForgeRef, type ForgeRepository, idOfRef } from "../../wire/forge.ts";
import type { Answer, Ask, ForgeClient, Priority } from "../forge-client.ts";
import { forgeRepositoryOf, type Known, type RepositoryState, type Roles, type Taken } from "./known.ts";
import type { Saving } from "./saving.ts";

/** Something that a forge can be asked. */
export type Fact =
  | { readonly type: "account" | "keys"; readonly account: ForgeRef }
  | { readonly type: "role"; readonly account: ForgeRef; readonly repository: ForgeRef }
  | { readonly type: "repository" | "roles"; readonly repository: ForgeRef }
  | { readonly type: "repositories"; readonly forge: string };

export interface AskingFor {
  readonly priority: Priority;
  /** Epoch ms: a request under way is shared if it was begun then or later. `Infinity`: a new one, whatever is under way. */
  readonly notBefore: number;
}

export interface AskedForge {
  readonly settings: ForgeSettings;
  readonly client: ForgeClient;
}

export interface AskingOptions {
  readonly forges: readonly AskedForge[];
  readonly known: Known;
  readonly saving: Saving;
  readonly clock: Clock;
}

interface UnderWay {
  readonly begunAt: number;
  readonly priority: Priority;
  readonly done: Promise<undefined>;
  readonly stop: AbortController;
}

/** How a forge was reached last. */
export interface Reach {
  readonly reachedAt: number | undefined;
  readonly isReached: boolean;
}

const RANKS: Readonly<Record<Priority, number>> = { login: 0, live: 1, background: 2 };

/** After this nobody waits any more; a client gives up a request sooner, but may let one wait for its turn. Guesses. */
const LIMITS_MS: Readonly<Record<Priority, number>> = { login: 15_000, live: 60_000, background: 600_000 };

/** New accounts of one list whose keys are asked for at once. More are not one person who was just let in. A guess. */
const STRANGERS_MAX = 10;

export class Asking {
  readonly #options: AskingOptions;
  readonly #forges: ReadonlyMap<string, AskedForge>;
  readonly #underWay = new Map<string, UnderWay[]>();
  readonly #reach = new Map<string, Reach>();
  #isClosed = false;

  constructor(options: AskingOptions) {
    this.#options = options;
    this.#forges = new Map(options.forges.map((forge) => [forge.settings.name, forge]));
  }

  forge(name: string): AskedForge | undefined {
    return this.#forges.get(name);
  }

  reachOf(forge: string): Reach {
    return this.#reach.get(forge) ?? { reachedAt: undefined, isReached: false };
  }

  /**
   * Asks, and resolves when the answer is known.
   *
   * @throws {Fault} `forge.unreached`, `forge.limited`, `forge.refused`, as the client says; nothing has changed then
   */
  async ask(fact: Fact, { priority, notBefore }: AskingFor): Promise<void> {
    const name = nameOfFact(fact);
    const underWay = this.#underWay.get(name) ?? [];
    const shared = underWay.find((one) => one.begunAt >= notBefore && RANKS[one.priority] <= RANKS[priority]);
    if (shared !== undefined) return shared.done;
    const begun = Promise.withResolvers<undefined>();
    begun.promise.catch(() => undefined);
    const own: UnderWay = {
      begunAt: this.#options.clock.now(),
      priority,
      done: begun.promise,
      stop: new AbortController(),
    };
    this.#underWay.set(name, [...underWay, own]);
    try {
      await this.#run(fact, own);
      begun.resolve(undefined);
    } catch (error) {
      begun.reject(error);
      throw error;
    } finally {
      this.#end(name, own);
    }
  }

  /** Gives up what is under way and waits for it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const underWay = [...this.#underWay.values()].flat();
    for (const { stop } of underWay) stop.abort(closed());
    await Promise.allSettled(underWay.map(({ done }) => done));
  }

  #end(name: string, own: UnderWay): void {
    const rest = (this.#underWay.get(name) ?? []).filter((one) => one !== own);
    if (rest.length === 0) this.#underWay.delete(name);
    else this.#underWay.set(name, rest);
  }

  async #run(fact: Fact, own: UnderWay): Promise<void> {
    if (this.#isClosed) throw closed();
    const forgeName = forgeOfFact(fact);
    const forge = this.#forges.get(forgeName);
    if (forge === undefined)
      throw new Fault("forge.unreached", `Cannot ask "${forgeName}": no such forge is connected`);
    const cancel = this.#options.clock.after(LIMITS_MS[own.priority], () => {
      own.stop.abort(new Fault("forge.unreached", `Cannot wait for ${forgeName} any longer: it did not answer`));
    });
    const ask = { priority: own.priority, signal: own.stop.signal };
    try {
      const apply = await this.#read(fact, forge, ask);
      this.#reach.set(forgeName, { reachedAt: this.#options.clock.now(), isReached: true });
      apply();
    } catch (error) {
      // To be rationed or to be shut down says nothing about the forge.
      const isUnreached =
        error instanceof Fault && (error.code === "forge.unreached" || error.code === "forge.refused");
      if (isUnreached) this.#reach.set(forgeName, { ...this.reachOf(forgeName), isReached: false });
      throw error;
    } finally {
      cancel();
    }
  }

  /** @returns what makes the answer known, without any waiting in between */
  async #read(fact: Fact, forge: AskedForge, ask: Ask): Promise<() => void> {
    switch (fact.type) {
      case "account":
        return this.#readAccount(fact.account, forge, ask);
      case "keys":
        return this.#readKeys(fact.account, forge, ask);
      case "role":
        return this.#readRole(fact.repository, fact.account, { forge, ask });
      case "repository":
        return this.#readRepository(fact.repository, forge, ask);
      case "roles":
        return this.#readRoles(fact.repository, forge, ask);
      case "repositories":
        return this.#readRepositories(forge, ask);
    }
  }

  async #readAccount(account: ForgeRef, { client }: AskedForge, ask: Ask): Promise<() => void> {
    const { value, askedAt, source } = await client.readAccount(account.id, ask);
    const { known, saving } = this.#options;
    return () => {
      const before = known.accounts.find(account)?.facts;
      const about = { verifiedAt: askedAt, source };
      if (value !== undefined) {
        const { login, fullName, email, isSuspended } = value;
        const state = isSuspended ? "suspended" : "active";
        saving.account(account, known.takeAccount(account, { login, fullName, email, state, ...about }));
      } else if (before !== undefined) {
        saving.account(account, known.takeAccount(account, { ...before, state: "gone", ...about }));
      }
    };
  }

  async #readKeys(account: ForgeRef, forge: AskedForge, ask: Ask): Promise<() => void> {
    const { known, saving } = this.#options;
    const facts = known.accounts.find(account)?.facts;
    if (facts === undefined) throw new Error(`Cannot ask for the keys of ${idOfRef(account)}: its name is not known`);
    const { value, askedAt, source } = await forge.client.listKeys({ id: account.id, login: facts.login }, ask);
    // No keys at all for want of an account: which of the reasons it is, the account says.
    const applyState =
      value === undefined ? await this.#readAccount(account, forge, ask).catch(() => undefined) : undefined;
    const keys = (value ?? []).flatMap((line) => {
      const key = readAuthorizedKey(line);
      return "wrong" in key ? [] : [key.blob];
    });
    return () => {
      applyState?.();
      const taken = known.takeKeys(account, { keys: [...new Set(keys)], verifiedAt: askedAt, source });
      saving.account(account, taken);
    };
  }

  async #readRole(
    repository: ForgeRef,
    account: ForgeRef,
    { forge, ask }: { readonly forge: AskedForge; readonly ask: Ask },
  ): Promise<() => void> {
    const { known, saving } = this.#options;
    const facts = known.accounts.find(account)?.facts;
    if (facts === undefined) throw new Error(`Cannot ask for a role of ${idOfRef(account)}: its name is not known`);
    const asked = this.#repository(repository);
    const { value, askedAt, source } = await forge.client.readRole(asked, { id: account.id, login: facts.login }, ask);
    return () => {
      const role = { role: value, verifiedAt: askedAt, source };
      saving.role(repository, { accountId: account.id, ...role }, known.takeRole(repository, account, role));
    };
  }

  async #readRepository(repository: ForgeRef, { client }: AskedForge, ask: Ask): Promise<() => void> {
    const { value, askedAt, source } = await client.readRepository(this.#repository(repository), ask);
    return () => this.#takeRepository(repository, value, { verifiedAt: askedAt, source });
  }

  async #readRoles(repository: ForgeRef, { client, settings }: AskedForge, ask: Ask): Promise<() => void> {
    const { value, askedAt, source } = await client.listCollaborators(this.#repository(repository), ask);
    if (value === undefined) return () => this.#takeRepository(repository, undefined, { verifiedAt: askedAt, source });
    const { known, saving } = this.#options;
    return () => {
      const strangers: ForgeRef[] = [];
      for (const { id, login, role } of value) {
        const account = { forge: repository.forge, id };
        if (known.meet(account, login) && isAtLeast(role, settings.minimumRole)) strangers.push(account);
      }
      const roles = value.map(({ id, role }) => ({ accountId: id, role })).filter(({ role }) => role !== "none");
      const list: Roles & { source: string } = { verifiedAt: askedAt, source, roles };
      saving.roles(repository, list, known.takeRoles(repository, list));
      // What nobody waits for can wait: the rotation takes those without keys first.
      if (ask.priority !== "background") this.#askKeysOf(strangers.slice(0, STRANGERS_MAX), ask.priority);
    };
  }

  #askKeysOf(accounts: readonly ForgeRef[], priority: Priority): void {
    for (const account of accounts) {
      this.ask({ type: "keys", account }, { priority, notBefore: 0 }).catch(() => undefined);
    }
  }

  async #readRepositories(forge: AskedForge, ask: Ask): Promise<() => void> {
    const { value, askedAt, source } = await forge.client.listRepositories(ask);
    return () => {
      const listed = new Set(value.map(({ id }) => id));
      const about = { verifiedAt: askedAt, source };
      for (const one of value) this.#takeRepository({ forge: forge.settings.name, id: one.id }, one, about);
      for (const { facts } of this.#options.known.repositories.all()) {
        const isMissing = facts.forge === forge.settings.name && facts.state !== "gone" && !listed.has(facts.id);
        if (isMissing) this.#takeRepository(facts, undefined, about);
      }
    };
  }

  #takeRepository(
    { forge, id }: ForgeRef,
    value: ForgeRepository | undefined,
    about: Pick<Answer<unknown>, "source"> & { readonly verifiedAt: number },
  ): void {
    const { known, saving } = this.#options;
    const repository = { forge, id };
    const before = known.repositories.find(repository)?.facts;
    let said: RepositoryState;
    if (value !== undefined) said = { ...value, state: value.isArchived ? "archived" : "connected", ...about };
    else if (before !== undefined) said = { ...before, state: "gone", ...about };
    else return;
    const taken: Taken = known.takeRepository(repository, said);
    saving.repository(repository, taken);
  }

  #repository(repository: ForgeRef): ForgeRepository {
    const facts = this.#options.known.repositories.find(repository)?.facts;
    if (facts === undefined) throw new Error(`Cannot ask about ${idOfRef(repository)}: no such repository is known`);
    return forgeRepositoryOf(facts);
  }
}

function closed(): Fault {
  return new Fault("shutdown.begun", "Cannot go on asking: the service is shutting down");
}

/** Names a fact: equal facts have equal names. */
export function nameOfFact(fact: Fact): string {
  switch (fact.type) {
    case "account":
    case "keys":
      return `${fact.type} ${idOfRef(fact.account)}`;
    case "role":
      return `role ${idOfRef(fact.repository)} ${idOfRef(fact.account)}`;
    case "repository":
    case "roles":
      return `${fact.type} ${idOfRef(fact.repository)}`;
    case "repositories":
      return `repositories ${fact.forge}`;
  }
}

/** Names the forge that a fact is asked of. */
export function forgeOfFact(fact: Fact): string {
  if ("forge" in fact) return fact.forge;
  return "repository" in fact ? fact.repository.forge : fact.account.forge;
}
