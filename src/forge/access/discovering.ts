/**
 * Finds out whose key it is when nobody is known to have it: a new collaborator, or somebody with a new key.
 *
 * Called through `open-access.ts` before anything was proved, so strangers cause it: a repository is looked at once in a
 * while, few are at once, and all looks together ask no more than so much. It never answers from what was not listed.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { unlessAborted } from "../../base/unless-aborted.ts";
import { isAtLeast } from "../../policy/access.ts";
import { type AccountFacts, type ForgeRef, idOfRef } from "../../wire/forge.ts";
import type { KeyOwner } from "./access.ts";
import type { AskedForge, Asking, Fact } from "./asking.ts";
import type { Doubts } from "./doubts.ts";
import { type Known, membersOf, refOf } from "./known.ts";

export interface DiscoveringOptions {
  readonly known: Known;
  readonly doubts: Doubts;
  readonly asking: Asking;
  readonly clock: Clock;
}

/** How long somebody who may be a stranger waits. */
const DISCOVERY_WAIT_MS = 2_000;

/** From the beginning of one look at a repository to the next. */
const LOOK_EVERY_MS = 1_000;

/** Looks at once, all forges together. */
const LOOKS_MAX = 20;

/** Keys that one look asks for at once. */
const KEYS_AT_ONCE = 6;

/**
 * Requests of all looks in a minute, so that strangers cannot use up what GitHub allows: 900 points a minute. New
 * accounts have half of it to themselves.
 */
const ASKS_A_MINUTE = 200;

export class Discovering {
  readonly #options: DiscoveringOptions;
  readonly #looks = new Map<string, Promise<void>>();
  /** `Clock.elapsed()` of the beginning of the last look at each repository. */
  readonly #lookedAt = new Map<string, number>();
  #asksLeft = ASKS_A_MINUTE;
  #asksFilledAt: number;

  constructor(options: DiscoveringOptions) {
    this.#options = options;
    this.#asksFilledAt = options.clock.elapsed();
  }

  /** As `Access.discover` does. Rejects with the reason of the signal when that aborts. */
  async discover(key: string, repositories: readonly ForgeRef[], signal: AbortSignal): Promise<KeyOwner | undefined> {
    const { known, clock } = this.#options;
    const owner = known.accounts.ownerOf(key);
    if (owner?.type === "account") return owner;
    const looks = [...(owner === undefined ? [] : [this.#settle(owner.accounts)]), ...this.#begin(repositories)];
    if (looks.length === 0) return owner;
    const found = Promise.withResolvers<undefined>();
    const cancel = clock.after(DISCOVERY_WAIT_MS, () => found.resolve(undefined));
    const stopListening = known.onChange(() => {
      if (known.accounts.ownerOf(key)?.type === "account") found.resolve(undefined);
    });
    void Promise.all(looks).then(() => found.resolve(undefined));
    try {
      await unlessAborted(found.promise, signal);
    } finally {
      cancel();
      stopListening();
    }
    return known.accounts.ownerOf(key);
  }

  /** Of accounts that share a key some may not have it any more. */
  async #settle(accounts: readonly AccountFacts[]): Promise<void> {
    const old = accounts.filter((facts) => this.#areKeysOld(facts));
    await Promise.all(old.map((facts) => this.#askKeys(facts, "live")));
  }

  /** @returns the looks at these repositories that are under way, none of which rejects */
  #begin(repositories: readonly ForgeRef[]): Promise<void>[] {
    return repositories.flatMap((repository) => {
      const name = idOfRef(repository);
      const underWay = this.#looks.get(name);
      if (underWay !== undefined) return [underWay];
      const { clock } = this.#options;
      const now = clock.elapsed();
      const forge = this.#options.asking.forge(repository.forge);
      if (forge === undefined || this.#looks.size >= LOOKS_MAX) return [];
      // Whoever comes right behind another look, and may have been added since, waits for the next.
      const dueAt = Math.max(now, (this.#lookedAt.get(name) ?? -Infinity) + LOOK_EVERY_MS);
      this.#remember(name, dueAt);
      const ready = dueAt > now ? clock.sleep(dueAt - now) : Promise.resolve();
      const look = ready.then(() => this.#look(refOf(repository), forge)).finally(() => this.#looks.delete(name));
      this.#looks.set(name, look);
      return [look];
    });
  }

  #remember(name: string, now: number): void {
    if (this.#lookedAt.size > 1_000) {
      for (const [other, at] of this.#lookedAt) if (now - at >= LOOK_EVERY_MS) this.#lookedAt.delete(other);
    }
    this.#lookedAt.set(name, now);
  }

  async #look(repository: ForgeRef, forge: AskedForge): Promise<void> {
    const { known, asking, clock } = this.#options;
    const wanted = known.repositories.find(repository);
    if (wanted?.facts.state !== "connected") return;
    const { minimumRole } = forge.settings;
    const list: Fact = { type: "roles", repository };
    // Somebody may have been added a moment ago: however young the list that is known, it is asked for anew.
    if (this.#mayAsk("live")) {
      await asking.ask(list, { priority: "live", notBefore: clock.now() }).catch(() => undefined);
    }
    const members = [...membersOf(known, wanted)].filter(({ role }) => isAtLeast(role, minimumRole));
    const unknown: AccountFacts[] = [];
    const old: AccountFacts[] = [];
    for (const { account } of members) {
      if (account.facts.keysVerifiedAt === undefined) unknown.push(account.facts);
      else if (this.#areKeysOld(account.facts)) old.push(account.facts);
    }
    old.sort((one, other) => (one.keysVerifiedAt ?? 0) - (other.keysVerifiedAt ?? 0));
    const until = clock.elapsed() + DISCOVERY_WAIT_MS;
    await this.#askAll(unknown, "live", until);
    await this.#askAll(old, "background", until);
  }

  /** Asks a few at once, in this order, until the time is over. */
  async #askAll(accounts: readonly AccountFacts[], priority: "live" | "background", until: number): Promise<void> {
    const left = [...accounts];
    const worker = async (): Promise<void> => {
      for (let facts = left.shift(); facts !== undefined; facts = left.shift()) {
        if (this.#options.clock.elapsed() >= until || !this.#mayAsk(priority)) return;
        await this.#askKeys(facts, priority);
      }
    };
    await Promise.all(Array.from({ length: KEYS_AT_ONCE }, worker));
  }

  async #askKeys(facts: AccountFacts, priority: "live" | "background"): Promise<void> {
    const { asking, clock } = this.#options;
    const notBefore = clock.now() - LOOK_EVERY_MS;
    await asking.ask({ type: "keys", account: refOf(facts) }, { priority, notBefore }).catch(() => undefined);
  }

  #areKeysOld(facts: AccountFacts): boolean {
    const { clock, doubts } = this.#options;
    const { keysVerifiedAt } = facts;
    if (keysVerifiedAt === undefined || keysVerifiedAt > clock.now()) return true;
    // A new key is no reason to wait for the next poll; what a look just asked for is not asked for by the next.
    return keysVerifiedAt < Math.max(clock.now() - LOOK_EVERY_MS, doubts.since("keys", facts, undefined));
  }

  #mayAsk(priority: "live" | "background"): boolean {
    const now = this.#options.clock.elapsed();
    const filled = ((now - this.#asksFilledAt) / 60_000) * ASKS_A_MINUTE;
    this.#asksLeft = Math.min(ASKS_A_MINUTE, this.#asksLeft + filled);
    this.#asksFilledAt = now;
    if (this.#asksLeft < (priority === "live" ? 1 : ASKS_A_MINUTE / 2)) return false;
    this.#asksLeft -= 1;
    return true;
  }
}
