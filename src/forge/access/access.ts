/**
 * Who may use which repository, by what the forges say: the one place that turns answers of forges into admissions,
 * refusals and revocations.
 *
 * Asked by `forge/directory.ts`, which adds the people and grants of the settings. Answers about what was verified
 * lately come from memory; anything older is asked for again first, for 2 s at most, and then the last good answer holds
 * for the grace time.
 *
 * @module
 */
import type { AccessDecision } from "../../policy/access.ts";
import type { AccountFacts, ForgeRef, ForgeRole, RepositoryFacts } from "../../wire/forge.ts";
import type { Hint } from "../forge-client.ts";

/** Whose key it is. A key on two accounts is nobody's: `shared` names both, for the operator alone. */
export type KeyOwner =
  | { readonly type: "account"; readonly account: AccountFacts }
  | { readonly type: "shared"; readonly accounts: readonly AccountFacts[] };

/** Who wants to go where, and by which key. Without a repository it is the lobby. */
export interface Subject {
  readonly account: ForgeRef;
  /** Public key in wire form, base64; absent when something else than the forge vouches for it: the settings file. */
  readonly key?: string;
  readonly repository?: ForgeRef;
  /** What they called the repository, for sentences; without it they are told its owner and name. */
  readonly typed?: string;
}

export type Decision = AccessDecision;

export interface Access {
  /** From memory, without asking anybody. */
  ownerOf(key: string): KeyOwner | undefined;
  account(account: ForgeRef): AccountFacts | undefined;
  accounts(): Iterable<AccountFacts>;
  repository(repository: ForgeRef): RepositoryFacts | undefined;
  /** Connected repositories, archived ones too, by what people call them; names are compared without case. */
  repositories(): Iterable<RepositoryFacts>;
  /** Those of which `name` is the name, or, with `prefix`, those whose name and a "-" begin it. */
  named(name: string, options?: { readonly prefix: boolean }): RepositoryFacts[];
  /**
   * Looks whether a key that nobody is known to have belongs to a new collaborator of one of these repositories. Strangers
   * cause this: it is rationed for each repository, and answers `undefined` at once when there is nothing to ask.
   */
  discover(key: string, repositories: readonly ForgeRef[], signal: AbortSignal): Promise<KeyOwner | undefined>;
  /**
   * Decides, having asked the forge where what is known is older than the poll interval.
   *
   * @param waitMs how long the forge may take at most. @default 2_000, which is the most as well
   */
  decide(subject: Subject, signal: AbortSignal, waitMs?: number): Promise<Decision>;
  /** Decides from memory alone, as of now. */
  judge(subject: Subject): Decision;
  /**
   * Watches a live session: polls what it rests on, and calls back once, with the sentence for the person, as soon as
   * `judge` would refuse it. Whoever admits subscribes first, then decides, so that there is no gap.
   *
   * @returns a function that stops it
   */
  watch(subject: Subject, onRevoked: (told: string) => void): () => void;
  /** Asks again what a webhook hints at, at once. Never rejects. */
  hint(forge: string, hints: readonly Hint[]): Promise<void>;
  /** Everybody with a sufficient role in a repository, the list verified now; for `authorized-keys` and `access list`. */
  listAllowed(
    repository: ForgeRef,
    signal: AbortSignal,
  ): Promise<{
    readonly verifiedAt: number;
    readonly isStale: boolean;
    readonly accounts: readonly (AccountFacts & { readonly role: ForgeRole })[];
  }>;
  /** Calls back after any change of what is known. @returns a function that stops it */
  onChanged(listener: () => void): () => void;
  /** How well each forge is reached, for metrics and pages. */
  health(): readonly ForgeHealth[];
  close(): Promise<void>;
}

export interface ForgeHealth {
  readonly forge: string;
  /** Epoch ms of the last good answer. */
  readonly reachedAt: number | undefined;
  readonly isReached: boolean;
  readonly accountCount: number;
  readonly repositoryCount: number;
  readonly budgetRemaining: number | undefined;
  /** By how much the oldest answer that a live session rests on is later than the poll interval, or 2 s after a hint. */
  readonly watchedLateMs: number;
}
