/**
 * Decides who gets in: from memory where that is recent enough, otherwise having asked the forge, for 2 s at most.
 *
 * Called through `open-access.ts` by the directory, and by `watches.ts` for live sessions. What facts mean is in
 * `policy/access.ts`.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import { unlessAborted } from "../../base/unless-aborted.ts";
import {
  type AccessFacts,
  type AccessRules,
  freshMsOf,
  type GroundName,
  judgeAccess,
  type Verdict,
} from "../../policy/access.ts";
import type { ForgeSettings } from "../../wire/forge-settings.ts";
import type { ForgeRef } from "../../wire/forge.ts";
import type { Decision, Subject } from "./access.ts";
import type { Asking, Fact } from "./asking.ts";
import type { Doubts } from "./doubts.ts";
import type { Known } from "./known.ts";

/** How long a login waits for the forge, for all that it asks together. Issue 3. */
export const DECISION_WAIT_MS = 2_000;

export interface DecidingOptions {
  readonly known: Known;
  readonly doubts: Doubts;
  readonly asking: Asking;
  readonly clock: Clock;
}

export class Deciding {
  readonly #options: DecidingOptions;
  readonly #underWay = new Set<Subject>();

  constructor(options: DecidingOptions) {
    this.#options = options;
  }

  /** Decides from memory alone, as of now. */
  verdict(subject: Subject): Verdict {
    return this.#verdict(subject, {});
  }

  #verdict(subject: Subject, given: Pick<AccessRules, "unanswered"> & { readonly aheadMs?: number }): Verdict {
    const settings = this.#options.asking.forge(subject.account.forge)?.settings;
    if (settings === undefined) return refused(`no forge ${subject.account.forge} is connected`);
    const facts = this.#gather(subject, settings);
    if (facts === undefined) return refused("there is no such account or repository");
    const { pollMs, graceMs, minimumRole } = settings;
    const { aheadMs = 0, ...unanswered } = given;
    const now = this.#options.clock.now() + aheadMs;
    return judgeAccess(facts, { now, pollMs, graceMs, minimumRole, ...unanswered });
  }

  /** Decides, having asked what is due. Rejects with the reason of the signal when that aborts. */
  async decide(subject: Subject, signal: AbortSignal, waitMs = DECISION_WAIT_MS): Promise<Decision> {
    signal.throwIfAborted();
    const { decision, due } = this.verdict(subject);
    if (due.length === 0) return decision;
    // What would grow old while the rest is waited for is asked along with it.
    const soonDue = this.#verdict(subject, { aheadMs: DECISION_WAIT_MS }).due;
    this.#underWay.add(subject);
    try {
      const asked = [...new Set([...due, ...soonDue])];
      const unanswered = await this.#ask(subject, asked, { waitMs: Math.min(waitMs, DECISION_WAIT_MS), signal });
      return this.#verdict(subject, unanswered === undefined ? {} : { unanswered }).decision;
    } finally {
      this.#underWay.delete(subject);
    }
  }

  /** Who waits for a decision: to them a hint matters as much as to those who are in. */
  get underWay(): ReadonlySet<Subject> {
    return this.#underWay;
  }

  /** @returns why some of it was not answered in time; `undefined`: all was */
  async #ask(
    subject: Subject,
    due: readonly GroundName[],
    { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal },
  ): Promise<AccessRules["unanswered"]> {
    const { asking, clock } = this.#options;
    const late = Promise.withResolvers<undefined>();
    const cancel = clock.after(Math.max(0, waitMs), () => late.resolve(undefined));
    try {
      const asked = due.map((ground) => asking.ask(factOf(ground, subject), this.#askingFor(ground, subject)));
      const results = await unlessAborted(Promise.race([Promise.allSettled(asked), late.promise]), signal);
      if (results === undefined) return { why: `it did not answer within ${DECISION_WAIT_MS / 1_000} s` };
      const failed = results.find((result) => result.status === "rejected");
      if (failed === undefined) return undefined;
      const reason: unknown = failed.reason;
      if (!(reason instanceof Fault)) throw reason; // a bug of ours is no outage
      return { why: reason.told };
    } finally {
      cancel();
    }
  }

  #askingFor(ground: GroundName, { account, key, repository }: Subject) {
    const now = this.#options.clock.now();
    const pollMs = this.#options.asking.forge(account.forge)?.settings.pollMs ?? 0;
    const freshFrom =
      now +
      DECISION_WAIT_MS -
      freshMsOf(ground, { hasKey: key !== undefined, hasRole: repository !== undefined }, pollMs);
    const notBefore = Math.max(Math.min(freshFrom, now), this.#options.doubts.since(ground, account, repository));
    return { priority: "login", notBefore } as const;
  }

  /** @returns `undefined` when account or repository are not known, or are of different forges */
  #gather({ account, key, repository, typed }: Subject, settings: ForgeSettings): AccessFacts | undefined {
    const { known, doubts } = this.#options;
    const knownAccount = known.accounts.find(account);
    if (knownAccount === undefined) return undefined;
    const { facts } = knownAccount;
    const since = (ground: GroundName): number => doubts.since(ground, account, repository);
    const about = {
      forge: settings.name,
      account: {
        login: facts.login,
        state: facts.state,
        // 0 is for accounts of which a list told no more than the name.
        verifiedAt: facts.stateVerifiedAt === 0 ? undefined : facts.stateVerifiedAt,
        source: knownAccount.stateSource,
        suspectAt: since("account"),
      },
      ...(key === undefined
        ? {}
        : {
            keys: {
              isListed: facts.keys.includes(key),
              isShared: known.accounts.isShared(key),
              verifiedAt: facts.keysVerifiedAt,
              source: knownAccount.keysSource,
              suspectAt: since("keys"),
            },
          }),
    };
    if (repository === undefined) return about;
    const wanted = known.repositories.find(repository);
    if (wanted === undefined || repository.forge !== account.forge) return undefined;
    const role = wanted.roles.find(knownAccount.number);
    return {
      ...about,
      target: {
        repository: {
          name: typed ?? `${wanted.facts.owner}/${wanted.facts.name}`,
          state: wanted.facts.state,
          verifiedAt: wanted.facts.stateVerifiedAt,
          source: wanted.stateSource,
          suspectAt: since("repository"),
        },
        role: {
          role: role?.role ?? "none",
          verifiedAt: role?.verifiedAt,
          source: role?.source,
          suspectAt: since("role"),
        },
      },
    };
  }
}

/** What is asked to know a ground of a decision about this subject. */
export function factOf(ground: GroundName, { account, repository }: Subject): Fact {
  switch (ground) {
    case "account":
    case "keys":
      return { type: ground, account };
    case "repository":
      return { type: ground, repository: required(repository) };
    case "role":
      return { type: ground, account, repository: required(repository) };
  }
}

function required(repository: ForgeRef | undefined): ForgeRef {
  if (repository === undefined) throw new Error("Cannot ask about a repository: the subject has none");
  return repository;
}

function refused(told: string): Verdict {
  const decision = { allowed: false, type: "no", told, hasRole: false, verifiedAt: undefined, sources: [] } as const;
  return { decision, due: [], holdsUntil: -Infinity };
}
