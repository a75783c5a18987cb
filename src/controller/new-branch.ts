/**
 * What `slip new` means: an environment of a branch that may not exist yet.
 *
 * Called by `environments.ts`.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import { nearestTo } from "../base/nearest.ts";
import { clearLoginOf } from "../policy/match-login.ts";
import { isBranchName } from "./branch-name.ts";
import type { Who } from "../wire/person.ts";
import type { Context } from "./context.ts";
import { listCandidates, type Target } from "./resolve.ts";

export interface NewRequest {
  readonly who: Who;
  /** As typed: its name, or `owner/name`. */
  readonly repository: string;
  readonly branch: string;
  /** Branch that one not yet on the origin starts from; the default branch when absent. */
  readonly from?: string;
}

/**
 * Finds out where a new environment begins, having asked the origin.
 *
 * @throws {Fault} `login.unknown` for a repository that is none of the person's or a branch to start from that is not
 *   there, `usage.wrong` for a name that git does not take or a `from` for a branch that exists
 */
export async function planBranch(context: Context, request: NewRequest, signal: AbortSignal): Promise<Target> {
  const { mirrors, store, clock } = context;
  const { branch, from } = request;
  const { person } = request.who;
  const resolvedAt = clock.now();
  if (!isBranchName(branch)) throw wrong(`${JSON.stringify(branch)} is no name for a branch`);
  const { chosen, usable } = await chooseRepository(context, request, signal);
  const { id, name: repository, asOf } = chosen;
  await mirrors.refresh(id, 0, signal);
  const branches = await mirrors.branches(id);
  const records = await store.list({ person, desired: "present" });
  const candidates = await listCandidates(usable, records, mirrors);
  const place = { repository, branch, ...(chosen.owner === undefined ? {} : { owner: chosen.owner }) };
  const others = candidates.map((candidate) =>
    candidate.repository === repository && candidate.owner === chosen.owner
      ? { ...candidate, branches: [...new Set([...candidate.branches, branch])] }
      : candidate,
  );
  const record = records.find((known) => known.repository === id && known.branch === branch);
  const where = { repository: id, repositoryName: repository, branch, resolvedAt };
  const common = asOf === undefined ? where : { ...where, asOf };
  if (record !== undefined) return { ...common, login: record.login, record };
  const target = { ...common, login: clearLoginOf(place, others) };
  if (branches.includes(branch)) {
    if (from === undefined) return target;
    throw wrong(`${repository} has a branch ${branch} already; leave out where it starts`);
  }
  const fromBranch = from ?? (await mirrors.defaultBranch(id));
  if (fromBranch === undefined) throw wrong(`${repository} has no branch yet that another could start from`);
  if (!branches.includes(fromBranch)) throw unknown(fromBranch, `branch of ${repository}`, branches);
  return { ...target, fromBranch };
}

/** Finds the repository that was typed among those that the person may use. */
async function chooseRepository({ directory }: Context, { who, repository, branch }: NewRequest, signal: AbortSignal) {
  const [name = "", ...owners] = repository.split("/").reverse();
  const owner = owners.length === 0 ? undefined : owners.reverse().join("/");
  const login = { type: "plus" as const, repository: name, branch, ...(owner === undefined ? {} : { owner }) };
  const { repositories: usable, told } = await directory.usable(who, login, signal);
  const isMeant = (one: { name: string; owner?: string }): boolean =>
    one.name.toLowerCase() === name.toLowerCase() &&
    (owner === undefined || one.owner?.toLowerCase() === owner.toLowerCase());
  const meant = usable.filter(isMeant);
  // One of the settings has no owner: nothing else could name it.
  const [chosen, another] = meant.some((one) => one.owner === undefined)
    ? meant.filter((one) => one.owner === undefined)
    : meant;
  if (chosen === undefined) {
    const [first] = told;
    if (first !== undefined) throw new Fault("grant.absent", `Cannot make an environment: ${first}`, { told: first });
    const known = usable.map((one) => one.name);
    throw unknown(repository, "repository of yours", known);
  }
  if (another === undefined) return { chosen, usable };
  throw wrong(`${name} is of several owners; type one of ${meant.map((one) => `${one.owner}/${one.name}`).join(", ")}`);
}

function unknown(name: string, what: string, known: readonly string[]): Fault {
  const near = nearestTo(name, known, { atMostCount: 5 });
  const hint = near.length === 0 ? "" : `; nearest: ${near.join(", ")}`;
  const told = `there is no ${what} called ${JSON.stringify(name)}${hint}`;
  return new Fault("login.unknown", `Cannot make an environment: ${told}`, { told });
}

function wrong(told: string): Fault {
  return new Fault("usage.wrong", `Cannot make an environment: ${told}`, { told });
}
