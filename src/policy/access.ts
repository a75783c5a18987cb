/**
 * Whether what a forge said lets somebody in: facts with their ages in, a decision out, and what would have to be asked
 * first. Pure: reads no clock and asks nobody.
 *
 * Called by `forge/access/`, which gathers the facts and asks for what is due. Each fact is a *ground* of the decision.
 * A ground that refuses is a no however old it is; one that does not refuse holds while it is fresh, and after that
 * within the grace time.
 *
 * @module
 */
import type { AccountFacts, ForgeRole, RepositoryFacts } from "../wire/forge.ts";

/** What a decision can rest on. */
export type GroundName = "account" | "keys" | "repository" | "role";

export type AccessDecision =
  | {
      readonly allowed: true;
      readonly role: ForgeRole;
      /** The oldest of the times at which what this rests on was verified; epoch ms. */
      readonly verifiedAt: number;
      /** Requests that it rests on, for people. */
      readonly sources: readonly string[];
      /** The forge could not be asked in time, so this is the last good answer, within the grace time. */
      readonly isStale: boolean;
    }
  | {
      readonly allowed: false;
      /** `no`: the forge said so. `unverified`: it could not be asked, and there is no good answer within the grace time. */
      readonly type: "no" | "unverified";
      /** For the person: the rest of a sentence that begins with who or what, as in "ada is no collaborator of acme/shop". */
      readonly told: string;
      /** They have a role in the repository, so that what is said of it is no secret to them. */
      readonly hasRole: boolean;
      readonly verifiedAt: number | undefined;
      readonly sources: readonly string[];
    };

/** When something was said by the forge. */
export interface Verified {
  /** Epoch ms; `undefined`: never. */
  readonly verifiedAt: number | undefined;
  /** The request that it was answered by; `undefined` where nobody remembers. */
  readonly source: string | undefined;
  /** Epoch ms before which an answer may be out of date, as a webhook hinted; 0: no hint. */
  readonly suspectAt: number;
}

export interface AccountGround extends Verified {
  readonly login: string;
  readonly state: AccountFacts["state"];
}

export interface KeysGround extends Verified {
  readonly isListed: boolean;
  /** Whether another account lists the key too. */
  readonly isShared: boolean;
}

export interface RepositoryGround extends Verified {
  /** What to call it: what the person typed, or its owner and name. */
  readonly name: string;
  readonly state: RepositoryFacts["state"];
}

export interface RoleGround extends Verified {
  readonly role: ForgeRole;
}

/** What is known of who wants to go where. */
export interface AccessFacts {
  /** Name of the forge, for sentences. */
  readonly forge: string;
  readonly account: AccountGround;
  /** Absent when something else than the forge vouches for the key. */
  readonly keys?: KeysGround;
  /** Absent for the lobby. */
  readonly target?: { readonly repository: RepositoryGround; readonly role: RoleGround };
}

export interface AccessRules {
  readonly now: number;
  readonly pollMs: number;
  readonly graceMs: number;
  readonly minimumRole: "read" | "write";
  /** Present when the forge was asked for what is due and did not say in time; `why` is a clause for the refusal. */
  readonly unanswered?: { readonly why: string | undefined };
}

export interface Verdict {
  readonly decision: AccessDecision;
  /** What has to be asked before this may be relied upon; empty: nothing. */
  readonly due: readonly GroundName[];
  /** Epoch ms after which, if nothing new is learned, the answer is no; -Infinity when it is no already. */
  readonly holdsUntil: number;
}

/**
 * The state of an account whose keys and role are verified often is looked at this much less often: a role goes with it at
 * every forge. Keys do not: GitLab goes on listing those of people who are blocked.
 */
export const STATE_POLLS = 10;

/** A no that is older is asked for again at the next login, so that who was just let in need not wait for a poll. */
const NO_FRESH_MS = 1_000;

/**
 * A time that lies further in the future was written when the clock was wrong, and proves nothing. Clocks of machines
 * that share a database differ by less (guess).
 */
const SKEW_MAX_MS = 60_000;

const RANKS: Readonly<Record<ForgeRole, number>> = { none: 0, read: 1, write: 2, admin: 3 };

/** Says whether a role is at least another. */
export function isAtLeast(role: ForgeRole, least: ForgeRole): boolean {
  return RANKS[role] >= RANKS[least];
}

/** What a decision rests on beside the state of the account. */
export interface RestedOn {
  readonly hasKey: boolean;
  readonly hasRole: boolean;
}

/** Says how long a fact stands without being asked for again. */
export function freshMsOf(ground: GroundName, facts: RestedOn, pollMs: number): number {
  return ground === "account" && facts.hasKey && facts.hasRole ? pollMs * STATE_POLLS : pollMs;
}

/** How old an answer is; Infinity for one of never, or of a time that cannot have been. */
export function ageOf(verifiedAt: number | undefined, now: number): number {
  if (verifiedAt === undefined || verifiedAt > now + SKEW_MAX_MS) return Infinity;
  return Math.max(0, now - verifiedAt);
}

interface Ground extends Verified {
  readonly name: GroundName;
  readonly freshMs: number;
  /** Why this alone is a no. */
  readonly refusal: string | undefined;
}

/** Decides by what is known. */
export function judgeAccess(facts: AccessFacts, rules: AccessRules): Verdict {
  const grounds = groundsOf(facts, rules);
  const refusing = grounds.filter(({ refusal }) => refusal !== undefined);
  const [first] = refusing;
  if (first?.refusal !== undefined) {
    const isFresh = refusing.some((ground) => isStanding(ground, Math.min(NO_FRESH_MS, rules.pollMs), rules.now));
    const { verifiedAt } = first;
    const decision = {
      allowed: false,
      type: "no",
      told: first.refusal,
      hasRole: hasRole(facts),
      verifiedAt,
      sources: sourcesOf([first]),
    } as const;
    return { decision, due: isFresh ? [] : dueOf(grounds, rules.now, NO_FRESH_MS), holdsUntil: -Infinity };
  }
  const due = dueOf(grounds, rules.now, Infinity);
  const verifiedAt = Math.min(...grounds.map((ground) => ground.verifiedAt ?? -Infinity));
  const lapsed = grounds.find((ground) => !holds(ground, rules));
  if (lapsed !== undefined) {
    return { decision: unverified(facts, rules, grounds), due, holdsUntil: -Infinity };
  }
  const role = facts.target?.role.role ?? "none";
  const isStale = grounds.some((ground) => !isStanding(ground, ground.freshMs, rules.now));
  return {
    decision: { allowed: true, role, verifiedAt, sources: sourcesOf(grounds), isStale },
    due,
    holdsUntil: Math.min(...grounds.map((ground) => holdsUntil(ground, rules.graceMs))),
  };
}

function holds(ground: Ground, { now, graceMs, unanswered }: AccessRules): boolean {
  // A recent answer that a webhook put in doubt, and that nobody confirms, is a last good answer like others.
  const isOnGrace = unanswered !== undefined && !isStanding(ground, ground.freshMs, now);
  return ageOf(ground.verifiedAt, now) <= (isOnGrace ? graceMs : Math.max(ground.freshMs, graceMs));
}

function holdsUntil({ verifiedAt, freshMs }: Ground, graceMs: number): number {
  return (verifiedAt ?? -Infinity) + Math.max(freshMs, graceMs);
}

/** Says whether an answer can be relied upon without asking again: recent, not of the future, and after every hint. */
function isStanding({ verifiedAt, suspectAt }: Verified, freshMs: number, now: number): boolean {
  return verifiedAt !== undefined && verifiedAt <= now && verifiedAt >= suspectAt && now - verifiedAt <= freshMs;
}

function dueOf(grounds: readonly Ground[], now: number, noFreshMs: number): GroundName[] {
  return grounds
    .filter((ground) => {
      const freshMs = ground.refusal === undefined ? ground.freshMs : Math.min(noFreshMs, ground.freshMs);
      return !isStanding(ground, freshMs, now);
    })
    .map(({ name }) => name);
}

/** In the order in which a refusal is told: nothing is said about a repository to somebody without a role in it. */
function groundsOf(facts: AccessFacts, rules: AccessRules): Ground[] {
  const { account, keys, target } = facts;
  const aboutFacts = { hasKey: keys !== undefined, hasRole: target !== undefined };
  const ground = (name: GroundName, verified: Verified, refusal: string | undefined): Ground => ({
    name,
    verifiedAt: verified.verifiedAt,
    source: verified.source,
    suspectAt: verified.suspectAt,
    freshMs: freshMsOf(name, aboutFacts, rules.pollMs),
    refusal,
  });
  const grounds = [ground("account", account, refusalOfAccount(facts))];
  if (keys !== undefined) grounds.push(ground("keys", keys, refusalOfKey(facts, keys)));
  if (target === undefined) return grounds;
  const { repository, role } = target;
  const isMember = hasRole(facts);
  const who = `${account.login} `;
  const noRole =
    role.verifiedAt === undefined || isMember ? undefined : `${who}is no collaborator of ${repository.name}`;
  const lessRole =
    isMember && !isAtLeast(role.role, rules.minimumRole)
      ? `${who}may only read ${repository.name}, and an environment needs the right to write`
      : undefined;
  const state = isMember ? refusalOfRepository(repository) : undefined;
  grounds.push(ground("repository", repository, state));
  grounds.push(ground("role", role, noRole ?? lessRole));
  return grounds;
}

function hasRole({ target }: AccessFacts): boolean {
  return target?.role.verifiedAt !== undefined && target.role.role !== "none";
}

function refusalOfAccount({ forge, account: { login, state, verifiedAt } }: AccessFacts): string | undefined {
  if (verifiedAt === undefined || state === "active") return undefined;
  return state === "suspended"
    ? `the account ${login} is suspended at ${forge}`
    : `${forge} has no account ${login} any more`;
}

function refusalOfKey({ forge, account: { login } }: AccessFacts, keys: KeysGround): string | undefined {
  if (keys.verifiedAt === undefined) return undefined;
  if (!keys.isListed) return `this key is not among the keys that ${forge} lists for ${login}`;
  return keys.isShared ? "this key belongs to more than one account, so it does not say who you are" : undefined;
}

function refusalOfRepository({ name, state, verifiedAt }: RepositoryGround): string | undefined {
  if (verifiedAt === undefined || state === "connected") return undefined;
  if (state === "archived") return `${name} is archived`;
  return `${name} was deleted, or moved to an owner that is not connected`;
}

function unverified(facts: AccessFacts, rules: AccessRules, grounds: readonly Ground[]): AccessDecision {
  const { forge, account, target } = facts;
  const what =
    target === undefined
      ? `whether ${account.login} is still who this key says`
      : `whether ${account.login} may use ${target.repository.name}`;
  const known = grounds.filter(
    ({ verifiedAt, name }) => verifiedAt !== undefined && (name === "role" || target === undefined),
  );
  const verifiedAt = known.length === 0 ? undefined : Math.min(...known.map((ground) => ground.verifiedAt ?? Infinity));
  const last = verifiedAt === undefined ? "it has never said so" : "its last answer is too old";
  const why = rules.unanswered?.why === undefined ? "" : ` (${rules.unanswered.why})`;
  const told = `${forge} could not be asked${why} ${what}, and ${last}`;
  return { allowed: false, type: "unverified", told, hasRole: hasRole(facts), verifiedAt, sources: sourcesOf(grounds) };
}

function sourcesOf(grounds: readonly Ground[]): string[] {
  return [...new Set(grounds.flatMap(({ source }) => (source === undefined ? [] : [source])))];
}
