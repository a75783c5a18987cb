/**
 * Where a login leads: to which repository and branch of those that its person may use.
 *
 * Called by `environments.ts`. Which login means which branch is decided in `policy/`; here is only what has to be looked
 * up for it, and in which order, so that an environment that exists is found without asking an origin.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/fault.ts";
import { DECISION_WAIT_MS } from "../forge/access/deciding.ts";
import type { AsOf, Directory, PlaceLogin } from "../forge/directory.ts";
import type { Mirrors } from "../forge/mirrors.ts";
import { encodeBranch } from "../policy/login.ts";
import { type Candidate, clearLoginOf, type Match, matchLogin } from "../policy/match-login.ts";
import type { EnvironmentRecord, Environments } from "../store/environments.ts";
import type { Who } from "../wire/person.ts";
import type { Repository } from "../wire/repository.ts";

/** As much of a repository as a login is matched with. */
type Named = Pick<Repository, "id" | "name" | "owner">;

/** Where a login leads. */
export interface Target {
  /** Id of the repository. */
  readonly repository: string;
  readonly repositoryName: string;
  readonly branch: string;
  /** The canonical login of the place, which an environment made for it gets. */
  readonly login: string;
  /** Epoch ms: whoever makes the environment has to have asked the origin since. */
  readonly resolvedAt: number;
  /** The environment that is there, as it was when it was looked up. */
  readonly record?: EnvironmentRecord;
  /** Branch that one not yet on the origin starts from. */
  readonly fromBranch?: string;
  /** Set when the forge could not be asked whether the person may: when it last said so. */
  readonly asOf?: AsOf;
}

export interface ResolveOptions {
  readonly store: Pick<Environments, "findByLogin" | "list">;
  readonly mirrors: Pick<Mirrors, "branches" | "refresh">;
  readonly directory: Pick<Directory, "usable" | "mayUse">;
  readonly clock: Clock;
}

/**
 * Finds where a login leads for a person.
 *
 * A repository that they may not use is answered like one that does not exist, in words and in what is looked up for it.
 *
 * @throws {Fault} `login.unknown` or `login.ambiguous`, told with the choices; `repository.unreached` when nothing is known
 */
export async function resolveLogin(
  who: Who,
  login: PlaceLogin,
  options: ResolveOptions,
  signal: AbortSignal,
): Promise<Target> {
  const { store, mirrors, directory } = options;
  const { person } = who;
  const resolvedAt = options.clock.now();
  const asked: Asked = { person, login, notes: [] };
  if (login.person !== undefined && login.person !== person) throw unknownLogin(asked, []);
  const beganAt = options.clock.elapsed();
  const known = await store.findByLogin(person, textOf(login));
  if (known !== undefined) {
    const use = await directory.mayUse(who, known.repository, signal);
    if (use.allowed) return { ...targetOf(known, resolvedAt), ...(use.asOf === undefined ? {} : { asOf: use.asOf }) };
  }
  // A login waits for the forge once, whatever is asked for it.
  const leftMs = Math.max(0, DECISION_WAIT_MS - (options.clock.elapsed() - beganAt));
  const { repositories, told } = await directory.usable(who, login, signal, leftMs);
  asked.notes.push(...told);
  const records = await store.list({ person, desired: "present" });
  let candidates = await listCandidates(repositories, records, mirrors);
  let match = matchLogin(login, candidates);
  if (match.type === "none") {
    // Only the repositories that the login names can have a branch for it.
    const named = repositories.filter(({ name }) => mayName(login, name));
    const refreshed = named.map(async ({ id, name }) => {
      if (!(await mirrors.refresh(id, 0, signal)).stale) return;
      asked.notes.push(`the origin of ${name} cannot be reached, so what is new is not known`);
    });
    await Promise.all(refreshed);
    candidates = await listCandidates(repositories, records, mirrors);
    match = matchLogin(login, candidates);
  }
  const place = onlyPlace(match, asked);
  const repository = repositories.find(({ name, owner }) => name === place.repository && owner === place.owner);
  if (repository === undefined) throw new Error(`Cannot find ${place.repository} among what it was chosen from`);
  const there = records.find((one) => one.repository === repository.id && one.branch === place.branch);
  const { asOf } = repository;
  const staleness = asOf === undefined ? {} : { asOf };
  if (there !== undefined) return { ...targetOf(there, resolvedAt), ...staleness };
  return {
    ...staleness,
    repository: repository.id,
    repositoryName: repository.name,
    branch: place.branch,
    login: clearLoginOf(place, candidates),
    resolvedAt,
  };
}

/**
 * Lists what a login of this person may mean: branches of the origin, and those that exist only in an environment. Of two
 * repositories that are called the same whole, as on two forges, the first is meant.
 */
export async function listCandidates(
  repositories: readonly Named[],
  records: readonly EnvironmentRecord[],
  mirrors: Pick<Mirrors, "branches">,
): Promise<Candidate[]> {
  const firsts = repositories.filter((one, at) => at === repositories.findIndex((other) => isCalledSame(one, other)));
  return Promise.all(
    firsts.map(async ({ id, name, owner }) => {
      const own = records.filter(({ repository }) => repository === id).map(({ branch }) => branch);
      const branches = [...new Set([...(await mirrors.branches(id)), ...own])];
      return { repository: name, branches, ...(owner === undefined ? {} : { owner }) };
    }),
  );
}

function isCalledSame(one: Named, other: Named): boolean {
  return one.name === other.name && one.owner === other.owner;
}

function targetOf(record: EnvironmentRecord, resolvedAt: number): Target {
  const { repository, repositoryName, branch, login } = record;
  return { repository, repositoryName, branch, login, resolvedAt, record };
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

/** What was looked for, and what kept us from knowing more; sentences for the person. */
interface Asked {
  readonly person: string;
  readonly login: PlaceLogin;
  readonly notes: string[];
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

function unknownLogin({ person, login, notes }: Asked, nearest: readonly string[]): Fault {
  const whose = login.person === undefined ? "" : `+@${login.person}`;
  const text = `${textOf(login)}${whose}`;
  const hint = nearest.length === 0 ? "" : `; nearest: ${nearest.join(", ")}`;
  const more = notes.map((note) => `; ${note}`).join("");
  return new Fault("login.unknown", `Cannot resolve "${text}" for ${person}: nothing that they may use fits`, {
    told: `no repository and branch of yours fits ${text}${hint}${more}`,
  });
}
