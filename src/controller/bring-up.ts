/**
 * Brings one environment up, from whatever there is of it to taking sessions: files, definition, namespaces, lifecycle
 * commands. Each step is idempotent and recorded before the next, so that after a crash at any moment doing it again ends
 * in the same place.
 *
 * Called by `environments.ts`, once at a time for each environment.
 *
 * @module
 */
import { Fault, toldOf } from "../base/fault.ts";
import { mustWaitFor } from "../policy/definition.ts";
import { isBaked } from "../policy/pool-version.ts";
import type { EnvironmentSpec, Report as RuntimeReport, Source, StartSpec } from "../runtime/runtime.ts";
import type { Changes, EnvironmentRecord } from "../store/environments.ts";
import type { Definition } from "../wire/definition.ts";
import type { ConditionType, EnvironmentCondition } from "../wire/environment.ts";
import { type Placed, placeKindOf } from "./clusters.ts";
import { conditionOf, withCondition } from "./conditions.ts";
import type { Context } from "./context.ts";
import { envOf, readDefinition, startSpecOf } from "./definition.ts";
import { findDefinition, type FoundDefinition } from "./find-definition.ts";
import { runSequence } from "./lifecycle.ts";
import { plainLine, stepLine } from "./lines.ts";
import { tokenUrlOf } from "./push-credentials.ts";
import type { Report } from "./shared-work.ts";

/** An environment that takes sessions. */
export interface Live {
  readonly record: EnvironmentRecord;
  readonly definition: Definition;
  /** Names of other services in it. */
  readonly serviceNames: readonly string[];
  /** What its person should know at each connection, one sentence each; grows when a command fails in the background. */
  readonly warnings: string[];
  /** Ends when the commands have that sessions do not wait for. Never rejects. */
  readonly settled: Promise<void>;
}

/** Called as soon as something may run inside, before its commands do. */
export type OnStarted = (record: EnvironmentRecord) => Promise<void>;

export interface BringUpRequest {
  readonly id: string;
  readonly onStarted: OnStarted;
  /** The origin has to have been asked since, if the files are made. Epoch ms. */
  readonly askedSince: number;
  /** Of an environment that was recorded just now. */
  readonly placed?: Placed;
  readonly report: Report;
}

/**
 * Brings an environment up and resolves when it takes sessions; what its definition lets run later goes on.
 *
 * @param signal ends it, the commands in the background too
 * @throws {Fault} `environment.gone` when another operation on it has begun meanwhile
 */
export async function bringUp(context: Context, request: BringUpRequest, signal: AbortSignal): Promise<Live> {
  const { id, report } = request;
  const hold = await takeHold(context, id);
  const { record } = hold;
  const toStep: RuntimeReport = (step, tookMs) => report(stepLine(step, tookMs));
  const spec = specOf(context, record);
  const known = await conditionsKnown(context, record, report);
  const isNew = conditionOf(known, "CheckedOut") === undefined;
  const isMember = isNew && request.placed?.member !== undefined;
  if (isNew && !isMember) await makeFiles(context, { repository: record.repository, spec, request, toStep }, signal);
  const { found, notes: foundNotes } = isMember ? ofPlaced(request.placed) : await findInCheckout(context, record);
  const { definition, notes } = readDefinition(found, record, placeKindOf(context));
  const conditions = conditionsAtStart(known, { now: context.clock.now(), isMember, definition });
  // On a cluster files come with the first start, and a member's are of another branch until it is claimed: what fails before
  // has been entered by nobody, and leaves nothing.
  const isWhole = !isNew || placeKindOf(context) === "sandbox";
  await hold.write({
    definition: found ?? null,
    power: "waking",
    conditions: isWhole ? conditions : known,
    inventory: record.inventory.map((item) => ({ ...item, state: "present" })),
  });
  const start = startSpecOf(definition, envOf(context, record, definition));
  if (!isMember) await context.runtime.start(spec, start, toStep, signal);
  else if (!(await tryClaim(context, { spec, start, report, toStep }, signal)))
    return bringUp(context, { ...request, placed: { cluster: record.cluster } }, signal);
  if (!isWhole) await hold.write({ conditions });
  await request.onStarted(record);
  const { warnings = [], serviceNames = [] } = await context.runtime.observe(id);
  for (const note of [...foundNotes, ...notes, ...definition.warnings, ...warnings, ...context.runtime.lacks])
    report(plainLine(note));
  const live = await runToReady(context, { hold, definition, serviceNames, report }, signal);
  await hold.end({ power: "running" });
  return live;
}

/**
 * Takes up an environment that runs already: finishes what a service that was killed left of its start.
 *
 * @param signal ends the commands in the background
 */
export async function takeUp(
  context: Context,
  { id, onStarted }: Pick<BringUpRequest, "id" | "onStarted">,
  signal: AbortSignal,
): Promise<Live> {
  const hold = await takeHold(context, id);
  const { record } = hold;
  await onStarted(record);
  const { definition } = readDefinition(record.definition, record, placeKindOf(context));
  const { serviceNames = [] } = await context.runtime.observe(id);
  const live = await runToReady(context, { hold, definition, serviceNames, report: () => undefined }, signal);
  await hold.end({ power: "running" });
  return live;
}

/** The right to write a record, until another operation on it begins. */
interface Hold {
  readonly record: EnvironmentRecord;
  conditions(): readonly EnvironmentCondition[];
  write(changes: Changes): Promise<void>;
  /** Writes and ends the operation; the right stays. */
  end(changes: Changes): Promise<void>;
}

async function takeHold({ store }: Context, id: string): Promise<Hold> {
  const record = await store.begin(id, "starting");
  const gone = (): Fault =>
    new Fault("environment.overtaken", `Cannot go on starting "${id}": another operation on it began`, {
      told: "this environment is being removed",
    });
  let { conditions } = record;
  const must = (isOurs: boolean, changes: Changes): void => {
    if (!isOurs) throw gone();
    conditions = changes.conditions ?? conditions;
  };
  return {
    record,
    conditions: () => conditions,
    write: async (changes) => must(await store.update(id, record.fence, changes), changes),
    end: async (changes) => must(await store.end(id, record.fence, changes), changes),
  };
}

interface Claiming {
  readonly spec: EnvironmentSpec;
  readonly start: StartSpec;
  readonly report: Report;
  readonly toStep: RuntimeReport;
}

/**
 * Claims a member. One that breaks meanwhile, perhaps half claimed, goes: nobody can say what is in it.
 *
 * @returns `false` when it could not be and nothing is left of it
 */
async function tryClaim(
  { runtime, log }: Context,
  { spec, start, report, toStep }: Claiming,
  signal: AbortSignal,
): Promise<boolean> {
  const { id, generation } = spec;
  try {
    await runtime.claim?.(spec, start, toStep, signal);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    log.warn("environment.unclaimed", { environment: id, err: error });
    report(plainLine(`made anew: ${toldOf(error)}`)); // before it goes, which takes some seconds
    await runtime.destroy(id, generation);
    return false;
  }
}

interface Making {
  /** Id of the repository. */
  readonly repository: string;
  readonly spec: EnvironmentSpec;
  readonly request: BringUpRequest;
  readonly toStep: RuntimeReport;
}

async function makeFiles(
  context: Context,
  { repository, spec, request, toStep }: Making,
  signal: AbortSignal,
): Promise<void> {
  const { runtime, clock, mirrors } = context;
  const { repository: name } = spec.source;
  const begunAt = clock.elapsed();
  const { stale, askedAt } = await mirrors.refresh(repository, clock.now() - request.askedSince, signal);
  toStep(`fetching ${name}`, clock.elapsed() - begunAt);
  if (stale) {
    const since = askedAt === undefined ? "the last fetch" : new Date(askedAt).toISOString();
    request.report(plainLine(`the origin of ${name} cannot be reached; this is the state of ${since}`));
  }
  await mustHaveBranch(context, { repository, source: spec.source }, stale);
  await runtime.create(spec, toStep, signal);
}

/** What is known of an environment; nothing, as if it had never been made, where somebody else removed its files. */
async function conditionsKnown(
  { runtime, log }: Context,
  { id, login, conditions }: EnvironmentRecord,
  report: Report,
): Promise<readonly EnvironmentCondition[]> {
  if (conditionOf(conditions, "CheckedOut") === undefined) return conditions;
  if ((await runtime.observe(id)).power !== "absent") return conditions;
  log.error("environment.lost", new Error("Cannot find the files of an environment"), { environment: id, login });
  report(plainLine("what was in this environment is gone, removed by somebody else; it is made anew"));
  return [];
}

/** A branch may have been deleted since its login was resolved. */
async function mustHaveBranch(
  { mirrors }: Context,
  { repository, source }: { repository: string; source: Source },
  stale: boolean,
): Promise<void> {
  const { repository: name, branch, fromBranch = branch } = source;
  if (stale || (await mirrors.branches(repository)).includes(fromBranch)) return;
  throw new Fault("login.unknown", `Cannot check out ${name} "${fromBranch}": its origin has no such branch`, {
    told: `${name} has no branch ${fromBranch} any more`,
  });
}

/** What it was when it started last, if anything, holds on where nobody can read it any more, as of a branch that is gone. */
async function findInCheckout(
  { runtime, log }: Context,
  { id, definition, conditions }: EnvironmentRecord,
): Promise<FoundDefinition> {
  try {
    return await findDefinition({
      readFile: (path) => runtime.readSource(id, path),
      listFolder: (path) => runtime.listSource(id, path),
    });
  } catch (error) {
    const isKnown = conditionOf(conditions, "CheckedOut") !== undefined;
    if (!isKnown || !(error instanceof Fault) || error.code !== "repository.unreached") throw error;
    log.warn("environment.definition-kept", { environment: id, err: error });
    return { notes: [], ...(definition === undefined ? {} : { found: definition }) };
  }
}

function ofPlaced({ definition, notes = [] }: Placed): FoundDefinition {
  return { notes, ...(definition === undefined ? {} : { found: definition }) };
}

/**
 * Its files are whole. A new start runs its own command again, and those that failed, which their person may have mended.
 */
function conditionsAtStart(
  conditions: readonly EnvironmentCondition[],
  { now, isMember, definition }: { now: number; isMember: boolean; definition: Definition },
): readonly EnvironmentCondition[] {
  const kept = conditions.filter(({ type, status }) => status === "true" && type !== "postStartCommand");
  if (conditionOf(kept, "CheckedOut") !== undefined) return kept;
  // Of a prepared environment the first commands have been run, or it would not have been ready.
  const baked = isMember
    ? definition.commands.flatMap(({ name }) => (name !== "postAttachCommand" && isBaked(name) ? [name] : []))
    : [];
  const types: readonly ConditionType[] = ["CheckedOut", ...baked];
  return types.reduce<readonly EnvironmentCondition[]>(
    (all, type) => withCondition(all, { type, status: "true", message: "", at: now }),
    kept,
  );
}

interface Running {
  readonly hold: Hold;
  readonly definition: Definition;
  readonly serviceNames: readonly string[];
  readonly report: Report;
}

/** Runs the lifecycle commands, and resolves as soon as sessions need not wait any longer. */
async function runToReady(context: Context, running: Running, signal: AbortSignal): Promise<Live> {
  const { hold, definition, serviceNames, report } = running;
  const { record } = hold;
  const ready = Promise.withResolvers<undefined>();
  const warnings: string[] = [];
  const sequence = runSequence(
    {
      ...context,
      id: record.id,
      steps: definition.commands,
      env: envOf(context, record, definition),
      conditions: hold.conditions(),
      record: (conditions) => hold.write({ conditions }),
      report,
      onReady: () => ready.resolve(undefined),
      isAwaited: (name) => mustWaitFor(name, definition.waitFor),
    },
    signal,
  );
  const finished = sequence.then((failure) => {
    if (failure === undefined) return;
    const warning = `${failure}; "log ${record.login}" in the lobby shows what it printed`;
    warnings.push(warning);
    context.log.warn("environment.command-failed", { environment: record.id, login: record.login, failure });
  });
  await Promise.race([ready.promise, finished]);
  const settled = finished.catch((error: unknown) => {
    if (signal.aborted) return;
    context.log.error("environment.commands-broke", error, { environment: record.id });
    warnings.push(`a lifecycle command was cut off: ${toldOf(error)}; it runs again when this environment starts next`);
  });
  return { record, definition, serviceNames, warnings, settled };
}

/** What a runtime is told of a recorded environment. */
export function specOf(context: Context, record: EnvironmentRecord): EnvironmentSpec {
  const { directory, mirrors, limits } = context;
  const { id, hostname, uid, repository, repositoryName, branch, fromBranch } = record;
  const person = directory.find(record.person);
  const tokenUrl = tokenUrlOf(context, repository);
  return {
    id,
    hostname,
    uid,
    source: {
      repository: repositoryName,
      mirrorPath: mirrors.pathOf(repository),
      originUrl: tokenUrl?.href ?? directory.repository(repository)?.pushUrl ?? mirrors.originUrlOf(repository),
      branch,
      ...(tokenUrl === undefined ? {} : { credentialHost: tokenUrl.host }),
      ...(fromBranch === undefined ? {} : { fromBranch }),
    },
    author: { name: person?.fullName ?? record.person, email: person?.email ?? "" },
    limits: limits.environment,
    cluster: record.cluster,
    generation: record.fence,
    owner: { person: record.person, login: record.login },
  };
}
