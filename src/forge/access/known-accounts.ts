/**
 * The accounts that are known, each with a number for `role-table.ts`, and whose key a key is. In memory; filled by
 * `known.ts`.
 *
 * @module
 */
import { type AccountFacts, type ForgeRef, idOfRef } from "../../wire/forge.ts";
import type { KeyOwner } from "./access.ts";

/** Never removed, so that its number stays its own. */
export interface KnownAccount {
  readonly number: number;
  facts: AccountFacts;
  /** Requests that state and keys were answered by; `undefined` after a restart. */
  stateSource: string | undefined;
  keysSource: string | undefined;
}

export class KnownAccounts {
  readonly #byId = new Map<string, KnownAccount>();
  readonly #byNumber: KnownAccount[] = [];
  /** Numbers of the accounts that list a key; one as a rule. */
  readonly #owners = new Map<string, number | readonly number[]>();

  get size(): number {
    return this.#byNumber.length;
  }

  find(account: ForgeRef): KnownAccount | undefined {
    return this.#byId.get(idOfRef(account));
  }

  at(number: number): KnownAccount | undefined {
    return this.#byNumber[number];
  }

  all(): readonly KnownAccount[] {
    return this.#byNumber;
  }

  /** Adds an account that is not known yet. */
  add(facts: AccountFacts): KnownAccount {
    const account = { number: this.#byNumber.length, facts, stateSource: undefined, keysSource: undefined };
    this.#byId.set(idOfRef(facts), account);
    this.#byNumber.push(account);
    for (const key of keysOf(facts)) this.#own(key, account.number);
    return account;
  }

  /**
   * Sets what is known of an account.
   *
   * @returns the accounts that share a key with it, before or after: what the key says has changed for them too
   */
  set(account: KnownAccount, facts: AccountFacts): KnownAccount[] {
    const before = keysOf(account.facts);
    const after = keysOf(facts);
    account.facts = facts;
    if (before === after) return [];
    const others = new Set<number>();
    for (const key of before) {
      if (after.includes(key)) continue;
      this.#disown(key, account.number);
      for (const number of this.#numbersOf(key)) others.add(number);
    }
    for (const key of after) {
      if (before.includes(key)) continue;
      for (const number of this.#numbersOf(key)) others.add(number);
      this.#own(key, account.number);
    }
    others.delete(account.number);
    return [...others].flatMap((number) => this.#byNumber[number] ?? []);
  }

  ownerOf(key: string): KeyOwner | undefined {
    const accounts = this.#numbersOf(key).flatMap((number) => this.#byNumber[number]?.facts ?? []);
    const [account] = accounts;
    if (account === undefined) return undefined;
    return accounts.length === 1 ? { type: "account", account } : { type: "shared", accounts };
  }

  isShared(key: string): boolean {
    return typeof this.#owners.get(key) === "object";
  }

  #numbersOf(key: string): readonly number[] {
    const owners = this.#owners.get(key);
    return owners === undefined ? [] : typeof owners === "number" ? [owners] : owners;
  }

  #own(key: string, number: number): void {
    const owners = this.#numbersOf(key);
    if (!owners.includes(number)) this.#owners.set(key, owners.length === 0 ? number : [...owners, number]);
  }

  #disown(key: string, number: number): void {
    const [first, ...rest] = this.#numbersOf(key).filter((owner) => owner !== number);
    if (first === undefined) this.#owners.delete(key);
    else this.#owners.set(key, rest.length === 0 ? first : [first, ...rest]);
  }
}

const NONE: readonly string[] = [];

/** An account that is gone has no keys, whatever it had. */
function keysOf({ state, keys }: AccountFacts): readonly string[] {
  return state === "gone" ? NONE : keys;
}
