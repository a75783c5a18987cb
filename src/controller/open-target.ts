/**
 * From where a login leads to an environment that takes sessions: the one that is there, or a new one.
 *
 * Called by `environments.ts`. When the environment is live already, this costs nothing but a look into memory.
 *
 * @module
 */
import { randomInt } from "node:crypto";
import { Fault } from "../base/fault.ts";
import { unlessAborted } from "../base/unless-aborted.ts";
import { hostnameOf } from "../policy/login.ts";
import type { EnvironmentRecord } from "../store/environments.ts";
import type { Live } from "./bring-up.ts";
import { type Placed, placeKindOf } from "./clusters.ts";
import type { Context } from "./context.ts";
import type { Entries, Entry } from "./entries.ts";
import { plainLine } from "./lines.ts";
import { makeOpen, type OpenEnvironment } from "./open-environment.ts";
import { startOpening } from "./opening.ts";
import { choosePlace } from "./placing.ts";
import type { Target } from "./resolve.ts";
import type { Report } from "./shared-work.ts";

export interface OpenRequest {
  readonly person: string;
  readonly target: Target;
  readonly report: Report;
}

/**
 * Opens the environment of a target, bringing it up if need be, together with whoever else wants it.
 *
 * @param signal ends the waiting; what was begun goes on
 * @throws {Fault} `environment.limit` when the person has as many as they may
 */
export async function openTarget(
  context: Context,
  entries: Entries,
  { person, target, report }: OpenRequest,
  signal: AbortSignal,
): Promise<OpenEnvironment> {
  const { record, placed } = await findOrAdd(context, { person, target, report }, signal);
  const entry = entries.of(record.id);
  if (entry.exclusive !== undefined) {
    // It may be going; whatever is there afterwards is what is wanted.
    await unlessAborted(entry.exclusive, signal);
    return openTarget(context, entries, { person, target: withoutRecord(target), report }, signal);
  }
  const bring = async (until: AbortSignal): Promise<Live> => {
    while (entry.exclusive !== undefined) await unlessAborted(entry.exclusive, until);
    return (
      entry.opening ??
      startOpening(context, entry, { askedSince: target.resolvedAt, ...(placed === undefined ? {} : { placed }) })
    ).join(report, until);
  };
  const live = entry.live ?? (await bring(signal).catch(unlessGone));
  if (live === undefined) {
    entries.forget(record.id);
    return openTarget(context, entries, { person, target: withoutRecord(target), report }, signal);
  }
  for (const warning of [...live.warnings, ...diskWarnings(context, entry)]) report(plainLine(warning));
  return makeOpen(context, { entry, live, bring });
}

/** Its record was deleted between the look at it and now. */
function unlessGone(error: unknown): undefined {
  if (error instanceof Fault && error.code === "environment.absent") return undefined;
  throw error;
}

/** For a second try, after whatever was there has gone. */
function withoutRecord({ record: _record, ...place }: Target): Target {
  return place;
}

function diskWarnings({ limits }: Context, { diskBytes = 0 }: Entry): string[] {
  const { diskBytes: limitBytes = Number.POSITIVE_INFINITY } = limits.environment;
  if (diskBytes <= limitBytes) return [];
  const inGiB = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  return [`this environment occupies ${inGiB(diskBytes)} of disk, more than the ${inGiB(limitBytes)} it should`];
}

interface FoundOrAdded {
  readonly record: EnvironmentRecord;
  /** Of one that was added just now. */
  readonly placed?: Placed;
}

async function findOrAdd(context: Context, request: OpenRequest, signal: AbortSignal): Promise<FoundOrAdded> {
  const { store } = context;
  const { person, target } = request;
  if (target.record !== undefined) return { record: target.record };
  const { repository, branch, login } = target;
  const known = await store.findByPlace(person, repository, branch);
  if (known !== undefined) return { record: known };
  const leaving = await store.list({ person, repository, desired: "absent" });
  if (leaving.some((record) => record.branch === branch))
    request.report(plainLine(`the ${login} before is still being removed; this is a new one`));
  return addPlaced(context, request, signal);
}

/** Others may take the room that was chosen before it is ours: then there may be some elsewhere. */
const PLACINGS = 5;

async function addPlaced(context: Context, request: OpenRequest, signal: AbortSignal): Promise<FoundOrAdded> {
  const { store, limits, audit, log } = context;
  const { person, target } = request;
  const { repository, repositoryName, branch, login, fromBranch } = target;
  // Before any member of a pool is claimed for them.
  const present = await store.list({ person, desired: "present" });
  if (present.length >= limits.perPerson) throw tooMany(person, longestUnusedFirst(present));
  for (let tryCount = 1; ; tryCount += 1) {
    const placed = await choosePlace(context, request, signal);
    const { cluster, capacity } = placed;
    const id = placed.member ?? makeId();
    const place = { id, person, repository, repositoryName, branch, login, fromBranch, cluster };
    const added = await store.add(
      {
        ...place,
        hostname: hostnameOf(repositoryName, branch),
        inventory: [{ type: placeKindOf(context), id, state: "intended" }],
      },
      { ...limits, ...(capacity === undefined ? {} : { capacity }) },
    );
    if (added.outcome !== "added" && placed.member !== undefined)
      await context.clusters?.pools.giveUp(placed.member, "nobody could be put into it");
    if (added.outcome === "limit") throw tooMany(person, added.present);
    if (added.outcome === "exists") return { record: added.record };
    if (added.outcome === "added") {
      log.info("environment.added", { environment: id, person, login });
      void audit.append({ type: "environment.created", environment: id, person, repository, branch });
      return { record: added.record, placed };
    }
    if (tryCount === PLACINGS) throw crowdedOut(cluster);
  }
}

function longestUnusedFirst(records: readonly EnvironmentRecord[]): EnvironmentRecord[] {
  return records.toSorted((one, other) => one.lastActiveAt - other.lastActiveAt);
}

function crowdedOut(cluster: string): Fault {
  return new Fault(
    "cluster.full",
    `Cannot add an environment on "${cluster}": others took its room ${PLACINGS} times`,
    {
      told: "others took the last room on the clusters at the same time; try again in a moment",
    },
  );
}

/** 16 characters of 36: the first 10, which name things of the kernel, are unique among billions. */
function makeId(): string {
  return Array.from({ length: 16 }, () => randomInt(36).toString(36)).join("");
}

function tooMany(person: string, present: readonly EnvironmentRecord[]): Fault {
  const names = present.slice(0, 3).map(({ login }) => login);
  const first = names[0] ?? "<login>";
  return new Fault("environment.limit", `Cannot add an environment for ${person}: they have ${present.length}`, {
    told:
      `you have ${present.length} environments, as many as are allowed; remove one in the lobby, as in "rm ${first}"` +
      ` (longest unused: ${names.join(", ")})`,
  });
}
