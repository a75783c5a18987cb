/**
 * Live sessions: whatever they rest on is asked for again and again, and a session that would be refused is told at once.
 *
 * Opened by `open-access.ts`. One watch a session; what several rest on is polled once. A fact is due some time before
 * the poll interval is over, so that its answer is there by then. When more is due than the forge answers, the oldest
 * goes first and all wait longer alike.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { keep } from "../../base/keep.ts";
import type { Log } from "../../base/log.ts";
import { ageOf, freshMsOf, type GroundName } from "../../policy/access.ts";
import { type ForgeRef, idOfRef } from "../../wire/forge.ts";
import type { Subject } from "./access.ts";
import { type Asking, type Fact, forgeOfFact, nameOfFact } from "./asking.ts";
import { type Deciding, factOf } from "./deciding.ts";
import type { Doubts } from "./doubts.ts";
import type { Change, Known } from "./known.ts";

export interface WatchesOptions {
  readonly known: Known;
  readonly doubts: Doubts;
  readonly asking: Asking;
  readonly deciding: Deciding;
  readonly clock: Clock;
  readonly log: Log;
  /** A number from 0 to below 1, so that what began together is not polled together. */
  readonly random: () => number;
}

interface Watch {
  readonly subject: Subject;
  readonly onRevoked: (told: string) => void;
  /** Epoch ms at which to judge again though nothing was learned. */
  judgeAt: number;
}

/** One fact that sessions rest on. */
interface Poll {
  readonly fact: Fact;
  readonly ground: GroundName;
  readonly forge: string;
  readonly freshMs: number;
  watchCount: number;
  /** When it is asked, as a share of the time that it stays fresh. */
  dueRatio: number;
  /** Epoch ms before which it is not asked, after a failure. */
  notBefore: number;
  isUnderWay: boolean;
  /** Asked by itself next, since the list that would have told it could not be read. */
  isAlone: boolean;
}

/** Asked at the earliest and the latest at these shares of the poll interval: what is left is for the answer. */
const DUE_RATIO_MIN = 0.7;
const DUE_RATIO_MAX = 0.85;

/** After a failure, in shares of the poll interval. A guess: three tries before an answer is twice as old as wanted. */
const RETRY_RATIO = 1 / 3;

/** Looks at what is due this often, in shares of the shortest poll interval. */
const TICK_RATIO = 1 / 20;
const TICK_MAX_MS = 1_000;
const TICK_MIN_MS = 20;

/** The same while more is due than may be under way: about what an answer takes. A guess. */
const TICK_BUSY_MS = 100;

/** Polls of one forge under way at once; the client's own rationing is the finer one. */
const UNDER_WAY_MAX = 8;

/** What a webhook put in doubt is to be answered anew in this time. Issue 3. */
const HINTED_MS = 2_000;

/** Entries of a list of collaborators in one request, at the forges that we know. */
const PAGE_COUNT = 100;

export class Watches {
  readonly #options: WatchesOptions;
  readonly #watches = new Map<string, Set<Watch>>();
  readonly #all = new Set<Watch>();
  readonly #polls = new Map<string, Poll>();
  /** Watched (account, repository) pairs of each repository. */
  readonly #pairCounts = new Map<string, number>();
  readonly #stop = new AbortController();
  readonly #stopListening: () => void;
  #loop: Promise<void> | undefined;
  #lookedAt = 0;

  constructor(options: WatchesOptions) {
    this.#options = options;
    this.#stopListening = options.known.onChange((change) => this.#judgeAfter(change));
  }

  /** As `Access.watch` does. */
  watch(subject: Subject, onRevoked: (told: string) => void): () => void {
    const watch: Watch = { subject, onRevoked, judgeAt: Infinity };
    this.#all.add(watch);
    for (const name of namesOf(subject)) this.#watches.set(name, (this.#watches.get(name) ?? new Set()).add(watch));
    for (const ground of groundNamesOf(subject)) this.#beginPoll(ground, subject);
    this.#loop ??= this.#run();
    // What is refused by now must not wait for the next look, and whoever subscribes is not called back from in here.
    queueMicrotask(() => this.#judge(watch));
    return () => this.#end(watch);
  }

  /** Who is watched. */
  subjects(): readonly Subject[] {
    return [...this.#all].map(({ subject }) => subject);
  }

  /**
   * By how much the oldest answer of a forge that a session rests on is past the bound for it: the poll interval, or 2 s
   * after a hint. 0 while every one is within it.
   */
  lateMs(forge: string): number {
    const now = this.#options.clock.now();
    let lateMs = 0;
    for (const poll of this.#polls.values()) {
      if (poll.forge !== forge) continue;
      const verifiedAt = this.#verifiedAt(poll);
      // On what was never answered no session rests yet.
      if (verifiedAt === undefined || verifiedAt === 0) continue;
      const doubtedSince = this.#doubtedSince(poll);
      const hintedMs = verifiedAt < doubtedSince ? now - doubtedSince - HINTED_MS : 0;
      lateMs = Math.max(lateMs, now - verifiedAt - poll.freshMs, hintedMs);
    }
    return lateMs;
  }

  /** What to ask to learn the roles of those who are watched: the list where it costs less than each by itself. */
  cheapest(fact: Fact): Fact {
    if (fact.type !== "role") return fact;
    const { repository } = fact;
    const listed = this.#options.known.repositories.find(repository)?.roles;
    const pageCount = listed?.listVerifiedAt === undefined ? Infinity : Math.ceil(listed.listedCount / PAGE_COUNT);
    const pairCount = this.#pairCounts.get(idOfRef(repository)) ?? 0;
    return pairCount > Math.max(1, pageCount) ? { type: "roles", repository } : fact;
  }

  async close(): Promise<void> {
    this.#stopListening();
    this.#stop.abort();
    await this.#loop;
  }

  #run(): Promise<void> {
    const { clock, log } = this.#options;
    const onFailure = (error: unknown): void => log.error("access.polling-failed", error);
    return keep(async () => this.#look(), { clock, onFailure }, this.#stop.signal);
  }

  /** @returns how long until the next look */
  #look(): number {
    const now = this.#options.clock.now();
    // A clock that was set back would put off what is due by its own time.
    const isBackwards = now < this.#lookedAt;
    this.#lookedAt = now;
    for (const watch of [...this.#all]) if (isBackwards || watch.judgeAt <= now) this.#judge(watch);
    let shortestMs = TICK_MAX_MS / TICK_RATIO;
    const due: { readonly poll: Poll; readonly verifiedAt: number }[] = [];
    const counts = new Map<string, number>();
    for (const poll of this.#polls.values()) {
      shortestMs = Math.min(shortestMs, poll.freshMs);
      if (poll.isUnderWay) counts.set(poll.forge, (counts.get(poll.forge) ?? 0) + 1);
      else if ((isBackwards || poll.notBefore <= now) && this.#isDue(poll, now)) {
        due.push({ poll, verifiedAt: this.#verifiedAt(poll) ?? 0 });
      }
    }
    let isMoreDue = false;
    for (const { poll } of due.sort((one, other) => one.verifiedAt - other.verifiedAt)) {
      const count = counts.get(poll.forge) ?? 0;
      isMoreDue ||= count >= UNDER_WAY_MAX;
      if (count >= UNDER_WAY_MAX) continue;
      counts.set(poll.forge, count + 1);
      void this.#poll(poll, now);
    }
    return Math.max(TICK_MIN_MS, Math.min(shortestMs * TICK_RATIO, isMoreDue ? TICK_BUSY_MS : Infinity));
  }

  #isDue(poll: Poll, now: number): boolean {
    const verifiedAt = this.#verifiedAt(poll);
    if (verifiedAt === undefined || verifiedAt > now || verifiedAt < this.#doubtedSince(poll)) return true;
    return ageOf(verifiedAt, now) >= poll.freshMs * poll.dueRatio;
  }

  #doubtedSince({ fact, ground }: Poll): number {
    const account = "account" in fact ? fact.account : undefined;
    const repository = "repository" in fact ? fact.repository : undefined;
    return this.#options.doubts.since(ground, account, repository);
  }

  #verifiedAt({ fact }: Poll): number | undefined {
    const { accounts, repositories } = this.#options.known;
    switch (fact.type) {
      case "account":
        return accounts.find(fact.account)?.facts.stateVerifiedAt;
      case "keys":
        return accounts.find(fact.account)?.facts.keysVerifiedAt;
      case "repository":
        return repositories.find(fact.repository)?.facts.stateVerifiedAt;
      case "role":
        return this.#options.known.role(fact.repository, fact.account)?.verifiedAt;
      case "roles":
      case "repositories":
        return undefined;
    }
  }

  async #poll(poll: Poll, now: number): Promise<void> {
    const { asking, clock, random } = this.#options;
    poll.isUnderWay = true;
    const freshFrom = now - poll.freshMs * DUE_RATIO_MIN;
    const fact = poll.isAlone ? poll.fact : this.cheapest(poll.fact);
    try {
      await asking.ask(fact, {
        priority: "live",
        notBefore: Math.max(freshFrom, this.#doubtedSince(poll)),
      });
      poll.isAlone = false;
    } catch {
      // Counted by whoever asks; what the sessions rest on grows older, which is all that it means here.
      poll.isAlone = fact !== poll.fact; // a list that never stops changing must not keep what is in it from being known
      if (!poll.isAlone) poll.notBefore = clock.now() + poll.freshMs * RETRY_RATIO;
    } finally {
      poll.dueRatio = DUE_RATIO_MIN + (DUE_RATIO_MAX - DUE_RATIO_MIN) * random();
      poll.isUnderWay = false;
    }
  }

  #beginPoll(ground: GroundName, subject: Subject): void {
    const { asking, random } = this.#options;
    const fact = factOf(ground, subject);
    const restedOn = { hasKey: subject.key !== undefined, hasRole: subject.repository !== undefined };
    const forge = forgeOfFact(fact);
    const freshMs = freshMsOf(ground, restedOn, asking.forge(forge)?.settings.pollMs ?? TICK_MAX_MS);
    const name = pollNameOf(fact, subject);
    const known = this.#polls.get(name);
    if (known !== undefined) {
      known.watchCount += 1;
      return;
    }
    const dueRatio = DUE_RATIO_MIN + (DUE_RATIO_MAX - DUE_RATIO_MIN) * random();
    this.#polls.set(name, {
      fact,
      ground,
      forge,
      freshMs,
      watchCount: 1,
      dueRatio,
      notBefore: 0,
      isUnderWay: false,
      isAlone: false,
    });
    if (fact.type === "role") this.#countPair(fact.repository, 1);
  }

  #endPoll(ground: GroundName, subject: Subject): void {
    const fact = factOf(ground, subject);
    const name = pollNameOf(fact, subject);
    const poll = this.#polls.get(name);
    if (poll === undefined) return;
    poll.watchCount -= 1;
    if (poll.watchCount > 0) return;
    this.#polls.delete(name);
    if (fact.type === "role") this.#countPair(fact.repository, -1);
  }

  #countPair(repository: ForgeRef, by: number): void {
    const name = idOfRef(repository);
    const count = (this.#pairCounts.get(name) ?? 0) + by;
    if (count === 0) this.#pairCounts.delete(name);
    else this.#pairCounts.set(name, count);
  }

  #judgeAfter(change: Change): void {
    switch (change.type) {
      case "account":
        this.#judgeAll(this.#watches.get(accountName(change.account)));
        return;
      case "repository":
      case "roles":
        this.#judgeAll(this.#watches.get(repositoryName(change.repository)));
        return;
      case "role": {
        const ofAccount = this.#watches.get(accountName(change.account));
        const ofRepository = this.#watches.get(repositoryName(change.repository));
        this.#judgeAll(ofRepository && ofAccount?.intersection(ofRepository));
        return;
      }
      case "shared":
        return; // told for each account by itself
    }
  }

  #judgeAll(watches: ReadonlySet<Watch> | undefined): void {
    for (const watch of [...(watches ?? [])]) this.#judge(watch);
  }

  #judge(watch: Watch): void {
    if (!this.#all.has(watch)) return;
    const { decision, holdsUntil } = this.#options.deciding.verdict(watch.subject);
    if (decision.allowed) {
      watch.judgeAt = holdsUntil + 1;
      return;
    }
    this.#end(watch);
    try {
      watch.onRevoked(decision.told);
    } catch (error) {
      this.#options.log.error("access.revoking-failed", error);
    }
  }

  #end(watch: Watch): void {
    if (!this.#all.delete(watch)) return;
    const { subject } = watch;
    for (const name of namesOf(subject)) {
      const watches = this.#watches.get(name);
      watches?.delete(watch);
      if (watches?.size === 0) this.#watches.delete(name);
    }
    for (const ground of groundNamesOf(subject)) this.#endPoll(ground, subject);
  }
}

function groundNamesOf({ key, repository }: Subject): GroundName[] {
  return [
    "account",
    ...(key === undefined ? [] : (["keys"] as const)),
    ...(repository === undefined ? [] : (["repository", "role"] as const)),
  ];
}

/** An account is looked at at different intervals, by what else is looked at: `freshMsOf` says which. */
function pollNameOf(fact: Fact, { key, repository }: Subject): string {
  const isCovered = key !== undefined && repository !== undefined;
  return fact.type === "account" ? `${nameOfFact(fact)} ${String(isCovered)}` : nameOfFact(fact);
}

/** What a change is of that may end a session. */
function namesOf({ account, repository }: Subject): string[] {
  return [accountName(account), ...(repository === undefined ? [] : [repositoryName(repository)])];
}

function accountName(account: ForgeRef): string {
  return `account ${idOfRef(account)}`;
}

function repositoryName(repository: ForgeRef): string {
  return `repository ${idOfRef(repository)}`;
}
