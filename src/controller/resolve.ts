/**
 * Where a login leads: to which repository and branch of those that its person may use.
 *
 * Called by `environments.ts`. Which login means which branch is decided in `policy/`; here is only what has to be looked
 * up for it, and in which order, so that an environment that exists is found without asking anybody.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import type { Mirrors } from "../forge/mirrors.ts";
import { encodeBranch, type Login } from "../policy/login.ts";
import { type Candidate, clearLoginOf, type Match, matchLogin } from "../policy/match-login.ts";
import type { EnvironmentRecord, Environments } from "../store/environments.ts";

/** A login that says where to go: not the lobby. */
export type PlaceLogin = Exclude<Login, { type: "lobby" }>;

/** A repository as a person may use it. */
export interface GrantedRepository {
  readonly name: string;
  readonly owner?: string;
}

/** Where a login leads. */
export interface Target {
  readonly repository: string;
  readonly branch: string;
  /** The canonical login of the place, which an environment made for it gets. */
  readonly login: string;
  /** Epoch ms: whoever makes the environment has to have asked the origin since. */
  readonly resolvedAt: number;
  /** The environment that is there, as it was when it was looked up. */
  readonly record?: EnvironmentRecord;
  /** Branch that one not yet on the origin starts from. */
  readonly fromBranch?: string;
}

export interface ResolveOptions {
  readonly store: Pick<Environments, "findByLogin" | "list">;
  readonly mirrors: Pick<Mirrors, "branches" | "refresh">;
  /** The repositories that a person has a right to. */
  readonly repositoriesOf: (person: string) => readonly GrantedRepository[];
  readonly clock: Clock;
}

/**
 * Finds where a login leads for a person.
 *
 * A repository without a grant is answered like one that does not exist, in words and in what is looked up for it.
 *
 * @throws {Fault} `login.unknown` or `login.ambiguous`, told with the choices; `repository.unreached` when nothing is known
 */
export async function resolveLogin(
  person: string,
  login: PlaceLogin,
  options: ResolveOptions,
  signal: AbortSignal,
): Promise<Target> {
  const resolvedAt = options.clock.now();
  const granted = options.repositoriesOf(person);
  const asked: Asked = { person, login, stale: [] };
  if (login.person !== undefined && login.person !== person) throw unknownLogin(asked, []);
  const known = await options.store.findByLogin(person, textOf(login));
  if (known !== undefined && granted.some(({ name }) => name === known.repository)) return targetOf(known, resolvedAt);
  const records = await options.store.list({ person, desired: "present" });
  let candidates = await listCandidates(granted, records, options.mirrors);
  let match = matchLogin(login, candidates);
  if (match.type === "none") {
    // Only the repositories that the login names can have a branch for it.
    const named = granted.filter(({ name }) => mayName(login, name));
    const refreshed = named.map(async ({ name }) => {
      if ((await options.mirrors.refresh(name, 0, signal)).stale) asked.stale.push(name);
    });
    await Promise.all(refreshed);
    candidates = await listCandidates(granted, records, options.mirrors);
    match = matchLogin(login, candidates);
  }
  const place = onlyPlace(match, asked);
  const there = records.find(({ repository, branch }) => repository === place.repository && branch === place.branch);
  if (there !== undefined) return targetOf(there, resolvedAt);
  return {
    repository: place.repository,
    branch: place.branch,
    login: clearLoginOf(place, candidates),
    resolvedAt,
  };
}

/** Lists what a login of this person may mean: branches of the origin, and those that exist only in an environment. */
export async function listCandidates(
  granted: readonly GrantedRepository[],
  records: readonly EnvironmentRecord[],
  mirrors: Pick<Mirrors, "branches">,
): Promise<Candidate[]> {
  return Promise.all(
    granted.map(async ({ name, owner }) => {
      const own = records.filter(({ repository }) => repository === name).map(({ branch }) => branch);
      const branches = [...new Set([...(await mirrors.branches(name)), ...own])];
      return { repository: name, branches, ...(owner === undefined ? {} : { owner }) };
    }),
  );
}

function targetOf(record: EnvironmentRecord, resolvedAt: number): Target {
  const { repository, branch, login } = record;
  return { repository, branch, login, resolvedAt, record };
}

/** The login as it is stored when it is canonical. */
function textOf(login: PlaceLogin): string {
  if (login.type === "hyphenated") return login.text;
  const branch = login.type === "pull" ? `pr${login.pull}` : encodeBranch(login.branch);
  const tag = login.type === "plus" && login.tag !== undefined ? `..${login.tag}` : "";
  return `${login.owner === undefined ? "" : `${login.owner}+`}${login.repository}+${branch}${tag}`;
}

function mayName(login: PlaceLogin, repository: string): boolean {
  const name = repository.toLowerCase();
  if (login.type !== "hyphenated") return login.repository.toLowerCase() === name;
  return login.text.toLowerCase().startsWith(`${name}-`);
}

/** What was looked for, and of which repositories the newest branches are not known. */
interface Asked {
  readonly person: string;
  readonly login: PlaceLogin;
  readonly stale: string[];
}

function onlyPlace(match: Match, asked: Asked): { repository: string; branch: string; owner?: string } {
  const { person, login } = asked;
  switch (match.type) {
    case "one":
      return match;
    case "none":
      throw unknownLogin(asked, match.nearest);
    case "many": {
      const more = match.leftOutCount === 0 ? "" : ` and ${match.leftOutCount} more`;
      throw new Fault("login.ambiguous", `Cannot resolve "${textOf(login)}" for ${person}: it fits several branches`, {
        told: `${textOf(login)} fits several branches; type one of: ${match.choices.join(", ")}${more}`,
      });
    }
  }
}

function unknownLogin({ person, login, stale }: Asked, nearest: readonly string[]): Fault {
  const whose = login.person === undefined ? "" : `+@${login.person}`;
  const text = `${textOf(login)}${whose}`;
  const hint = nearest.length === 0 ? "" : `; nearest: ${nearest.join(", ")}`;
  const away =
    stale.length === 0 ? "" : `; the origin of ${stale.join(" and ")} cannot be reached, so what is new is not known`;
  return new Fault("login.unknown", `Cannot resolve "${text}" for ${person}: nothing that they may use fits`, {
    told: `no repository and branch of yours fits ${text}${hint}${away}`,
  });
}
