/**
 * Which branch a login means, among those that its person may see and no others: a stranger learns no name from it.
 *
 * The rule, in words. `<repository>-<branch>` is tried at each "-": whatever repository and encoded branch it fits is
 * meant, and more than one is refused with the choices. `<repository>+<branch>` means the branch of exactly that name
 * if there is one (`a-b` before `a/b`), else whatever encodes to it. In both, a spelling that fits with its case beats
 * one that fits without. A tag (`login.ts`) tells branches apart that are still alike, so each has a login of its own.
 *
 * @module
 */
import { nearestTo } from "../base/nearest.ts";
import {
  encodeBranch,
  exactLoginOf,
  type Login,
  loginOf,
  LOGIN_LENGTH_MAX,
  type Place,
  readLogin,
  tagOf,
} from "./login.ts";

/** A repository and the branches that a login of it may mean. */
export interface Candidate {
  readonly owner?: string;
  readonly repository: string;
  readonly branches: readonly string[];
}

export type Match =
  | ({ readonly type: "one" } & Place)
  /** Each choice is a login that means one of them, then the branch in brackets: `hello+a-b (branch a-b)`. */
  | { readonly type: "many"; readonly choices: readonly string[]; readonly leftOutCount: number }
  /** Logins that exist, the nearest first; empty when the person may see nothing. */
  | { readonly type: "none"; readonly nearest: readonly string[] };

type Target = Exclude<Login, { type: "lobby" }>;

const NEAREST_COUNT = 5;
/** Logins that a mistyped one is compared with (guess; 2,000 of 100,000 branches took up to 45 ms here). */
const NEAREST_AMONG = 2_000;
/** Choices written out. Finding a login for each costs a look at all branches. */
const CHOICES_MAX = 10;

/** Finds what a login means. Pull requests are no branches, so a login of one means none of them. */
export function matchLogin(login: Target, candidates: readonly Candidate[]): Match {
  const places = placesOf(login, candidates);
  const [place] = places;
  if (place === undefined) return { type: "none", nearest: nearestLogins(login, candidates) };
  if (places.length === 1) return { type: "one", ...place };
  const shown = places.slice(0, CHOICES_MAX);
  return {
    type: "many",
    choices: shown.map((choice) => `${clearLoginOf(choice, candidates)} (branch ${printable(choice.branch)})`).sort(),
    leftOutCount: places.length - shown.length,
  };
}

/**
 * Makes the shortest login that means this branch and no other of the candidates. What a record of an environment
 * should hold: two branches of one person never share it at the same time.
 */
export function clearLoginOf(place: Place, candidates: readonly Candidate[]): string {
  const { owner, repository, branch } = place;
  const plus = `${repository}+${encodeBranch(branch)}`;
  const forms = [loginOf(repository, branch), plus, exactLoginOf({ repository, branch })];
  const ownedForms = owner === undefined ? [] : [`${owner}+${plus}`, exactLoginOf(place)];
  return (
    [...forms.slice(0, 2), ...ownedForms.slice(0, 1), ...forms.slice(2), ...ownedForms.slice(1)]
      .filter((form) => form.length <= LOGIN_LENGTH_MAX)
      .find((form) => isClear(form, place, candidates)) ?? exactLoginOf(place)
  );
}

function isClear(form: string, place: Place, candidates: readonly Candidate[]): boolean {
  const login = readLogin(form);
  if (login.type === "lobby") return false;
  const [only, another] = placesOf(login, candidates);
  return another === undefined && only !== undefined && isSame(only, place);
}

function isSame(one: Place, other: Place): boolean {
  return one.branch === other.branch && one.repository === other.repository && one.owner === other.owner;
}

/** A place that fits and how well: 0 is as typed. */
interface Fit {
  readonly place: Place;
  readonly slack: number;
}

/** Lists the places that fit best. */
function placesOf(login: Target, candidates: readonly Candidate[]): Place[] {
  let fits: Fit[] = [];
  for (const { owner, repository, branches } of candidates) {
    const slackHere = slackIn(login, owner, repository);
    if (slackHere === undefined) continue;
    for (const branch of branches) {
      const slackOfBranch = slackHere.of(branch);
      if (slackOfBranch === undefined) continue;
      const slack = slackHere.slack + slackOfBranch;
      const best = fits[0]?.slack ?? slack;
      if (slack > best) continue;
      if (slack < best) fits = [];
      fits.push({ place: { ...(owner === undefined ? {} : { owner }), repository, branch }, slack });
    }
  }
  return fits.map((fit) => fit.place);
}

interface SlackIn {
  readonly slack: number;
  readonly of: (branch: string) => number | undefined;
}

/** Says how far a repository, and then each of its branches, is from what was typed; `undefined` when not meant. */
function slackIn(login: Target, owner: string | undefined, repository: string): SlackIn | undefined {
  switch (login.type) {
    case "pull":
      return undefined;
    case "hyphenated": {
      const prefix = `${repository}-`;
      const slack = caseSlack(login.text.slice(0, prefix.length), prefix);
      const typed = login.text.slice(prefix.length);
      return slack === undefined ? undefined : { slack, of: (branch) => caseSlack(typed, encodeBranch(branch)) };
    }
    case "plus": {
      // Without an owner the repository that has none comes first: no other login could name it.
      const owned = login.owner === undefined ? Number(owner !== undefined) : caseSlack(login.owner, owner ?? "");
      const named = caseSlack(login.repository, repository);
      if (owned === undefined || named === undefined) return undefined;
      return { slack: owned * 100 + named * 10, of: (branch) => branchSlack(login, branch) };
    }
  }
}

function branchSlack(login: { readonly branch: string; readonly tag?: string }, branch: string): number | undefined {
  if (login.tag !== undefined) {
    if (login.tag !== tagOf(branch)) return undefined;
    return caseSlack(login.branch, encodeBranch(branch).slice(0, login.branch.length));
  }
  if (login.branch === branch) return 0;
  const slack = caseSlack(login.branch, encodeBranch(branch));
  return slack === undefined ? undefined : slack + 1;
}

function caseSlack(typed: string, name: string): 0 | 1 | undefined {
  if (typed === name) return 0;
  return typed.toLowerCase() === name.toLowerCase() ? 1 : undefined;
}

/** Any branch of a repository that was named whole may be meant; of the others only what looks like a slip of the hand. */
function nearestLogins(login: Target, candidates: readonly Candidate[]): string[] {
  const word = wordOf(login);
  const named = candidates.filter(
    ({ repository }) => caseSlack(word.slice(0, repository.length), repository) !== undefined,
  );
  const slips = nearestTo(word, loginsOf(candidates), {
    atMostCount: NEAREST_COUNT,
    atMostDistance: Math.max(2, Math.floor(word.length / 3)),
  });
  return nearestTo(word, new Set([...loginsOf(named), ...slips]), { atMostCount: NEAREST_COUNT });
}

function loginsOf(candidates: readonly Candidate[]): Set<string> {
  const logins = new Set<string>();
  for (const { repository, branches } of candidates) {
    for (const branch of branches.slice(0, Math.max(0, NEAREST_AMONG - logins.size)))
      logins.add(loginOf(repository, branch));
  }
  return logins;
}

function wordOf(login: Target): string {
  switch (login.type) {
    case "hyphenated":
      return login.text;
    case "plus":
      return `${login.repository}-${login.branch}`;
    case "pull":
      return `${login.repository}-pr${login.pull}`;
  }
}

/** Git allows any letter in a branch; a terminal should not be sent controls or direction marks. */
function printable(text: string): string {
  return text.replace(/\p{C}/gu, "?");
}
