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
import type { Context } from "./context.ts";
import { listCandidates, type Target } from "./resolve.ts";

export interface NewRequest {
  readonly person: string;
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
  const { mirrors, directory, store, clock } = context;
  const { person, repository, branch, from } = request;
  const resolvedAt = clock.now();
  const granted = directory.repositoriesOf(person);
  const owner = granted.find(({ name }) => name === repository);
  if (owner === undefined)
    throw unknown(
      repository,
      "repository of yours",
      granted.map(({ name }) => name),
    );
  if (!isBranchName(branch)) throw wrong(`${JSON.stringify(branch)} is no name for a branch`);
  await mirrors.refresh(repository, 0, signal);
  const branches = await mirrors.branches(repository);
  const records = await store.list({ person, desired: "present" });
  const candidates = await listCandidates(granted, records, mirrors);
  const place = { repository, branch, ...(owner.owner === undefined ? {} : { owner: owner.owner }) };
  const others = candidates.map((candidate) =>
    candidate.repository === repository
      ? { ...candidate, branches: [...new Set([...candidate.branches, branch])] }
      : candidate,
  );
  const record = records.find((known) => known.repository === repository && known.branch === branch);
  if (record !== undefined) return { repository, branch, resolvedAt, login: record.login, record };
  const target = { repository, branch, resolvedAt, login: clearLoginOf(place, others) };
  if (branches.includes(branch)) {
    if (from === undefined) return target;
    throw wrong(`${repository} has a branch ${branch} already; leave out where it starts`);
  }
  const fromBranch = from ?? (await mirrors.defaultBranch(repository));
  if (fromBranch === undefined) throw wrong(`${repository} has no branch yet that another could start from`);
  if (!branches.includes(fromBranch)) throw unknown(fromBranch, `branch of ${repository}`, branches);
  return { ...target, fromBranch };
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
