/**
 * What webhooks put in doubt: answers from before a hint are not relied upon without asking again.
 *
 * Written by `hints.ts`, read by whoever decides whether an answer is recent enough. Kept in memory only: after a restart
 * an answer is asked for again once it is older than the poll interval, which is as long as a doubt matters.
 *
 * @module
 */
import { type ForgeRef, idOfRef } from "../../wire/forge.ts";
import type { GroundName } from "../../policy/access.ts";

/** What a hint was about. */
export type Doubted =
  | { readonly type: "account"; readonly account: ForgeRef }
  | { readonly type: "repository"; readonly repository: ForgeRef }
  | { readonly type: "role"; readonly account: ForgeRef; readonly repository: ForgeRef }
  | { readonly type: "roles-of"; readonly account: ForgeRef }
  | { readonly type: "everything"; readonly forge: string };

/** Where more are doubted than this, the old ones are looked through. */
const SWEEP_AT_COUNT = 1_000;

export class Doubts {
  readonly #since = new Map<string, number>();
  readonly #forgetMs: number;
  #sweepAtCount = SWEEP_AT_COUNT;

  /** @param forgetMs after which every answer from before a hint is too old anyway */
  constructor(forgetMs: number) {
    this.#forgetMs = forgetMs;
  }

  add(doubted: Doubted, now: number): void {
    this.#since.set(nameOf(doubted), now);
    if (this.#since.size < this.#sweepAtCount) return;
    for (const [name, since] of this.#since) if (now - since > this.#forgetMs) this.#since.delete(name);
    this.#sweepAtCount = Math.max(SWEEP_AT_COUNT, this.#since.size * 2);
  }

  /** Epoch ms before which what is known of this is in doubt; 0: nobody doubts it. */
  since(ground: GroundName, account: ForgeRef | undefined, repository: ForgeRef | undefined): number {
    if (this.#since.size === 0) return 0;
    switch (ground) {
      case "account":
      case "keys":
        return account === undefined ? 0 : this.#at({ type: "account", account });
      case "repository":
        return repository === undefined ? 0 : this.#sinceOf(repository);
      case "role": {
        const all = repository === undefined ? 0 : this.#sinceOf(repository);
        if (account === undefined || repository === undefined) return all;
        const single = this.#at({ type: "role", account, repository });
        return Math.max(all, single, this.#at({ type: "roles-of", account }));
      }
    }
  }

  #sinceOf(repository: ForgeRef): number {
    const everything = this.#at({ type: "everything", forge: repository.forge });
    return Math.max(everything, this.#at({ type: "repository", repository }));
  }

  #at(doubted: Doubted): number {
    return this.#since.get(nameOf(doubted)) ?? 0;
  }
}

function nameOf(doubted: Doubted): string {
  switch (doubted.type) {
    case "account":
    case "roles-of":
      return `${doubted.type} ${idOfRef(doubted.account)}`;
    case "repository":
      return `repository ${idOfRef(doubted.repository)}`;
    case "role":
      return `role ${idOfRef(doubted.account)} ${idOfRef(doubted.repository)}`;
    case "everything":
      return `everything ${doubted.forge}`;
  }
}
