/**
 * What webhooks hint at: doubted at once, and asked again at once as far as live sessions or the hint itself name it.
 *
 * Called through `open-access.ts` by the gateway's webhooks. Hints are never answers. However many come, a fact is asked
 * at most once at a time and once in a while, and whatever is hinted at meanwhile is asked once more after that.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import type { Log } from "../../base/log.ts";
import { type ForgeRef, idOfRef } from "../../wire/forge.ts";
import type { Hint, Priority } from "../forge-client.ts";
import { type Asking, type Fact, nameOfFact } from "./asking.ts";
import type { Deciding } from "./deciding.ts";
import type { Doubts } from "./doubts.ts";
import type { KnowledgeStore, SharedHint } from "../../wire/knowledge.ts";
import type { Known } from "./known.ts";
import type { Watches } from "./watches.ts";

export interface HintsOptions {
  readonly known: Known;
  readonly doubts: Doubts;
  readonly asking: Asking;
  readonly deciding: Deciding;
  readonly watches: Watches;
  readonly store: Pick<KnowledgeStore, "tellHint">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Asked because of hints at once, all forges together. */
const UNDER_WAY_MAX = 10;

/** A fact that was just asked because of a hint is not asked again for this long: half of the 2 s of issue 3. */
const REST_MS = 1_000;

/** The list of all repositories is long, and what it says of those with live sessions is asked by itself. A guess. */
const LONG_REST_MS = 10_000;

/**
 * Of the people who are in one repository so many are asked about one by one, before its list: what the pace of requests
 * lets through within the 2 s of issue 3, at the forges that we know. A guess.
 */
const HINTED_ROLES_MAX = 20;

interface Wanted {
  readonly fact: Fact;
  readonly priority: Priority;
  readonly done: PromiseWithResolvers<undefined>;
}

export class Hints {
  readonly #options: HintsOptions;
  /** In the order in which they are asked; what somebody waits for before the rest. */
  readonly #urgent = new Map<string, Wanted>();
  readonly #rest = new Map<string, Wanted>();
  /** Facts that were asked lately, and what ends their rest. */
  readonly #resting = new Map<string, () => void>();
  #underWayCount = 0;
  #isClosed = false;

  constructor(options: HintsOptions) {
    this.#options = options;
  }

  /** As `Access.hint` does; resolves when all was asked that a live session or the hint itself names. */
  async take(forge: string, hints: readonly Hint[]): Promise<void> {
    if (this.#isClosed || this.#options.asking.forge(forge) === undefined) return;
    const wanted = hints.flatMap((hint) => this.#follow(forge, hint));
    // Of all other hints this process learns whatever there is to learn, and what it writes of that the others hear.
    for (const hint of hints) {
      if (hint.type === "everything") this.#tell({ type: "hint", forge, id: "" });
      if (hint.type === "roles-of") this.#tell({ type: "hint", forge, id: hint.accountId });
    }
    await Promise.all(wanted);
  }

  /** Takes what another process was hinted at: asked is what live sessions of this one rest on. */
  hear({ forge, id }: SharedHint): void {
    if (this.#isClosed || this.#options.asking.forge(forge) === undefined) return;
    const account = id === "" ? undefined : { forge, id };
    const doubted =
      account === undefined ? ({ type: "everything", forge } as const) : ({ type: "roles-of", account } as const);
    this.#options.doubts.add(doubted, this.#options.clock.now());
    void this.#live(forge, account);
  }

  close(): void {
    this.#isClosed = true;
    for (const cancel of this.#resting.values()) cancel();
    for (const { done } of [...this.#urgent.values(), ...this.#rest.values()]) done.resolve(undefined);
    this.#resting.clear();
    this.#urgent.clear();
    this.#rest.clear();
  }

  /** What is not told the others find within their poll intervals. */
  #tell(hint: SharedHint): void {
    const { store, log } = this.#options;
    store.tellHint(hint).catch((error: unknown) => {
      log.warn("access.hint-untold", { forge: hint.forge, why: String(error) });
    });
  }

  #follow(forge: string, hint: Hint): Promise<void>[] {
    const { known, doubts, clock } = this.#options;
    const now = clock.now();
    switch (hint.type) {
      case "account": {
        const account = { forge, id: hint.accountId };
        if (known.accounts.find(account) === undefined) return [];
        doubts.add({ type: "account", account }, now);
        return [this.#want({ type: "keys", account }), this.#want({ type: "account", account })];
      }
      case "repository": {
        const repository = { forge, id: hint.repositoryId };
        if (known.repositories.find(repository) === undefined) return [this.#want({ type: "repositories", forge })];
        doubts.add({ type: "repository", repository }, now);
        return this.#followRepository(repository);
      }
      case "role": {
        const account = { forge, id: hint.accountId };
        const repository = { forge, id: hint.repositoryId };
        if (known.repositories.find(repository) === undefined) return [this.#want({ type: "repositories", forge })];
        doubts.add({ type: "role", account, repository }, now);
        const isKnown = known.accounts.find(account) !== undefined;
        return [this.#want(isKnown ? { type: "role", account, repository } : { type: "roles", repository })];
      }
      case "roles-of":
        return this.#followRolesOf({ forge, id: hint.accountId }, now);
      case "pushed":
        return [];
      case "everything":
        doubts.add({ type: "everything", forge }, now);
        return [this.#want({ type: "repositories", forge }), ...this.#live(forge)];
    }
  }

  /**
   * Those who are in before everybody: the whole list takes as long as it is, and may not come to an end while it changes.
   */
  #followRepository(repository: ForgeRef): Promise<void>[] {
    const live = this.#rolesIn(repository);
    return [
      this.#want({ type: "repository", repository }),
      ...live.slice(0, HINTED_ROLES_MAX).map((role) => this.#want(role)),
      this.#want({ type: "roles", repository }),
      ...live.slice(HINTED_ROLES_MAX).map((role) => this.#want(this.#options.watches.cheapest(role))),
    ];
  }

  /** The roles in a repository that live sessions, or decisions under way, rest on; each once. */
  #rolesIn(repository: ForgeRef): Fact[] {
    const { watches, deciding } = this.#options;
    const wanted = idOfRef(repository);
    const subjects = [...watches.subjects(), ...deciding.underWay].filter(
      (subject) => subject.repository !== undefined && idOfRef(subject.repository) === wanted,
    );
    const accounts = new Map(subjects.map(({ account }) => [idOfRef(account), account]));
    return [...accounts.values()].map((account) => ({ type: "role", account, repository }));
  }

  /** Live sessions first and waited for; all else that they had a role in, afterwards. */
  #followRolesOf(account: ForgeRef, now: number): Promise<void>[] {
    const { known, doubts } = this.#options;
    const number = known.accounts.find(account)?.number;
    if (number === undefined) return [];
    doubts.add({ type: "roles-of", account }, now);
    const live = this.#live(account.forge, account);
    for (const { facts, roles } of known.repositories.all()) {
      if (facts.forge !== account.forge || facts.state === "gone") continue;
      if ((roles.find(number)?.role ?? "none") === "none") continue;
      const repository = { forge: facts.forge, id: facts.id };
      void this.#want({ type: "role", account, repository }, "background");
    }
    return live;
  }

  /** Everything about repositories that live sessions, or decisions under way, rest on. */
  #live(forge: string, account?: ForgeRef): Promise<void>[] {
    const { watches, deciding } = this.#options;
    const wanted: Promise<void>[] = [];
    for (const { account: watched, repository } of [...watches.subjects(), ...deciding.underWay]) {
      if (repository === undefined || watched.forge !== forge || (account !== undefined && watched.id !== account.id))
        continue;
      const role = { type: "role", account: watched, repository } as const;
      wanted.push(this.#want(account === undefined ? watches.cheapest(role) : role));
      if (account === undefined) wanted.push(this.#want({ type: "repository", repository }));
    }
    return wanted;
  }

  /** Has a fact asked that is not waiting to be asked already. */
  #want(fact: Fact, priority: Priority = "live"): Promise<void> {
    const name = nameOfFact(fact);
    const waiting = this.#urgent.get(name);
    if (waiting !== undefined) return waiting.done.promise;
    const late = this.#rest.get(name);
    if (late !== undefined && priority === "background") return late.done.promise;
    this.#rest.delete(name);
    const done = late?.done ?? Promise.withResolvers<undefined>();
    (priority === "background" ? this.#rest : this.#urgent).set(name, { fact, priority, done });
    this.#pump();
    return done.promise;
  }

  #pump(): void {
    for (const queue of [this.#urgent, this.#rest]) {
      for (const [name, wanted] of queue) {
        if (this.#underWayCount >= UNDER_WAY_MAX || this.#isClosed) return;
        if (this.#resting.has(name)) continue;
        queue.delete(name);
        void this.#ask(name, wanted);
      }
    }
  }

  async #ask(name: string, { fact, priority, done }: Wanted): Promise<void> {
    const { asking, clock, log } = this.#options;
    this.#underWayCount += 1;
    const restMs = fact.type === "repositories" ? LONG_REST_MS : REST_MS;
    const cancel = clock.after(restMs, () => {
      this.#resting.delete(name);
      this.#pump();
    });
    this.#resting.set(name, cancel);
    try {
      // Whatever is under way may have been answered before what the hint tells of happened.
      await asking.ask(fact, { priority, notBefore: Infinity });
    } catch (error) {
      // What was doubted stays doubted: a login asks again, and so does the next look at a live session.
      if (error instanceof Fault) log.warn("access.hint-unanswered", { fact: name, code: error.code });
      else log.error("access.hint-failed", error, { forge: idOfHint(fact) });
    } finally {
      this.#underWayCount -= 1;
      done.resolve(undefined);
      this.#pump();
    }
  }
}

function idOfHint(fact: Fact): string {
  if ("forge" in fact) return fact.forge;
  return idOfRef("repository" in fact ? fact.repository : fact.account);
}
