/**
 * Everyone's environments: finds, makes, wakes, lists and removes them.
 *
 * Made once by `src/cmd`; the gateway enters environments through it and the lobby manages them. Of one environment at
 * most one thing is done at a time, and whoever wants the same waits for the same. What has to be known after a crash is
 * in the store before it is done.
 *
 * @module
 */
import { endedWithin } from "../base/ended-within.ts";
import { Fault } from "../base/fault.ts";
import { nearestTo } from "../base/nearest.ts";
import { readLogin } from "../policy/login.ts";
import { matchLogin } from "../policy/match-login.ts";
import { staleLine } from "../policy/stale-line.ts";
import type { AsOf, PlaceLogin } from "../forge/directory.ts";
import { mustBeAllowed } from "../forge/must-be-allowed.ts";
import type { EnvironmentRecord } from "../store/environments.ts";
import type { GarbageReport } from "../wire/garbage.ts";
import type { EnvironmentRow } from "../wire/lobby.ts";
import type { Who } from "../wire/person.ts";
import { adoptAll, watchAll } from "./adopt.ts";
import { placeKindOf } from "./clusters.ts";
import type { Context } from "./context.ts";
import { type Entries, halt, makeEntries } from "./entries.ts";
import { makeGarbage } from "./garbage.ts";
import { migrateEnvironment } from "./migrate.ts";
import { type NewRequest, planBranch } from "./new-branch.ts";
import type { OpenEnvironment } from "./open-environment.ts";
import { openTarget } from "./open-target.ts";
import { sleepEnvironment } from "./put-to-sleep.ts";
import { removeEnvironment } from "./remove.ts";
import { resolveLogin, type Target } from "./resolve.ts";
import { rowOf } from "./row.ts";
import type { Report } from "./shared-work.ts";
import { tellEverybody } from "./tell.ts";

/** How long a stop waits for what is under way, as a namespace that does not go: the next service goes on with it all the same. */
const CLOSE_MS = 10_000;

/** Bytes of a log that are shown. */
const LOG_BYTES = 256 * 1024;

/** Whose environment is meant, by the id of a person or by a name. The login is as typed: hostile. */
export interface EnvironmentRef {
  readonly person: string;
  readonly login: string;
  /** Its person, when it is they who ask, and not an administrator: whatever tells of a repository needs the right to it. */
  readonly who?: Who;
}

/** Who wants to go where. */
export interface EnterRequest {
  readonly who: Who;
  /** As typed: hostile. */
  readonly login: string;
}

export interface Environments {
  /**
   * Finds, wakes or makes the environment that a login means for a person.
   *
   * @param report takes progress and warnings, one line each, for the person
   * @param signal ends the waiting; what was begun goes on
   * @throws {Fault} with the sentence for the person
   */
  enter(
    request: EnterRequest,
    report: Report,
    signal: AbortSignal,
  ): Promise<OpenEnvironment & { readonly asOf?: AsOf }>;
  /** Calls back when an environment is taken away. @returns a function that stops it */
  onGone(id: string, listener: (reason: string) => void): () => void;
  /** Those of one person, or all. */
  list(person: string | undefined): Promise<EnvironmentRow[]>;
  /** Makes an environment without entering it. @returns its login */
  create(request: NewRequest, report: Report, signal: AbortSignal): Promise<string>;
  /** @throws {Fault} `environment.unsaved` listing the work that would be lost, unless `force` */
  remove(ref: EnvironmentRef, options: { readonly force: boolean; readonly by: string }): Promise<void>;
  /**
   * Ends every process of it and cuts its sessions; files stay, and the next who enters wakes it.
   *
   * @throws {Fault} `grant.absent`, here and below, when they may not use its repository any more
   */
  sleep(ref: EnvironmentRef, options: { readonly by: string }): Promise<void>;
  readLog(ref: EnvironmentRef): Promise<string>;
  /**
   * Moves it to another cluster with its files. @returns how long nobody could be in it, in milliseconds
   *
   * @throws {Fault} `environment.unsaved` naming the volumes that would be left, unless `force`
   */
  migrate(
    ref: EnvironmentRef,
    options: { readonly to: string; readonly by: string; readonly force: boolean; readonly report: Report },
    signal: AbortSignal,
  ): Promise<number>;
  /** Clears away what is on clusters and in no record. @param isDry tells what would go, and changes nothing */
  sweep(isDry: boolean): Promise<GarbageReport>;
  /** Whether somebody waits for an environment now. */
  isBusy(): boolean;
  /** Takes over what an earlier service left, and begins to watch. Called once, before anything else. */
  adopt(): Promise<void>;
  /** Shows a line at the terminals of everybody who is connected. Never rejects. */
  tell(line: string): Promise<void>;
  /** Stops what is under way, to be gone on with by the next service. Environments go on. */
  close(): Promise<void>;
}

/** Makes the environments of one service. There must be no other on the same store. */
export function makeEnvironments(context: Context): Environments {
  const { store, runtime, clock, directory, mirrors, log } = context;
  const entries = makeEntries();
  const garbage = makeGarbage(context);
  const closing = new AbortController();
  let watching: Promise<void> | undefined;

  return {
    enter: async ({ who, ...request }, report, signal) => {
      closing.signal.throwIfAborted();
      const target = await resolveLogin(who, readPlace(request.login), { store, mirrors, directory, clock }, signal);
      tellStale(context, who, target, report);
      const open = await openTarget(context, entries, { person: who.person, target, report }, signal);
      return { ...open, ...asOfOf(target) };
    },
    onGone: (id, listener) => {
      const own = (reason: string): void => listener(reason);
      const { goneListeners } = entries.of(id);
      goneListeners.add(own);
      return () => goneListeners.delete(own);
    },
    list: async (person) => {
      const records = await store.list(person === undefined ? {} : { person });
      return records.map((record) => {
        const { name = record.person } = directory.find(record.person) ?? {};
        const listed = { record, person: name, place: placeKindOf(context) };
        return rowOf(listed, entries.peek(record.id), clock.now());
      });
    },
    create: async (request, report, signal) => {
      closing.signal.throwIfAborted();
      const target = await planBranch(context, request, signal);
      tellStale(context, request.who, target, report);
      return (await openTarget(context, entries, { person: request.who.person, target, report }, signal)).login;
    },
    remove: async (ref, options) => removeEnvironment(context, entries, await findOwn(context, ref), options),
    sleep: async (ref, { by }) => {
      const record = await findUsable(context, ref, closing.signal);
      await sleepEnvironment(context, entries, { record, told: `${record.login} was put to sleep by ${by}` });
    },
    readLog: async (ref) => runtime.readLog((await findUsable(context, ref, closing.signal)).id, LOG_BYTES),
    migrate: async (ref, options, signal) =>
      migrateEnvironment(context, entries, { record: await findUsable(context, ref, signal), ...options }, signal),
    sweep: (isDry) => garbage.sweep(isDry, true),
    isBusy: () => entries.all().some(({ opening }) => opening !== undefined),
    adopt: async () => {
      await adoptAll(context, entries);
      watching = watchAll({ context, entries, garbage }, closing.signal);
    },
    tell: (line) => tellEverybody(context, entries, line),
    close: async () => {
      closing.abort(new Fault("shutdown.begun", "Cannot enter an environment: the service is shutting down"));
      const reason = new Fault("shutdown.begun", "Cannot go on with an environment: the service is shutting down");
      const ending = Promise.all([endAll(entries, reason), watching]);
      if (!(await endedWithin(clock, CLOSE_MS, ending))) log.warn("environments.unended", { afterMs: CLOSE_MS });
    },
  };
}

/** Stops whatever is being done with any of them, and waits for what cannot be stopped. */
async function endAll(entries: Entries, reason: Fault): Promise<void> {
  await Promise.all(entries.all().map((entry) => halt(entry, reason)));
  for (const { exclusive } of entries.all()) await exclusive;
}

function readPlace(text: string): PlaceLogin {
  const login = readLogin(text);
  if (login.type === "lobby") throw new Error("Cannot enter the lobby: it is no environment");
  return login;
}

/** Finds the record that a login means among the person's own, in every spelling that `enter` takes. */
async function findOwn(context: Context, ref: EnvironmentRef): Promise<EnvironmentRecord> {
  const { store } = context;
  const person = await personMeant(context, ref.person);
  const exact = await store.findByLogin(person, ref.login);
  if (exact !== undefined) return exact;
  const records = await store.list({ person, desired: "present" });
  const login = readLogin(ref.login);
  const names = [...new Set(records.map(({ repositoryName }) => repositoryName))];
  const candidates = names.map((repository) => ({
    repository,
    branches: records.filter((record) => record.repositoryName === repository).map(({ branch }) => branch),
  }));
  const match = login.type === "lobby" ? undefined : matchLogin(login, candidates);
  const found = records.find(
    ({ repositoryName, branch }) =>
      match?.type === "one" && match.repository === repositoryName && match.branch === branch,
  );
  if (found !== undefined) return found;
  const known = records.map((record) => record.login);
  const near = nearestTo(ref.login, known, { atMostCount: 3 });
  const hint = near.length === 0 ? "" : `; nearest: ${near.join(", ")}`;
  throw new Fault("environment.absent", `Cannot find environment "${ref.login}" of ${ref.person}: no record fits`, {
    told: `there is no environment ${ref.login}${hint}`,
  });
}

/** The same for who goes on being in it, hearing from it or moving it: what they once made is not enough. */
async function findUsable(context: Context, ref: EnvironmentRef, signal: AbortSignal): Promise<EnvironmentRecord> {
  const record = await findOwn(context, ref);
  if (ref.who === undefined) return record;
  const use = await context.directory.mayUse(ref.who, record.repository, signal);
  mustBeAllowed(use, `Cannot let ${ref.person} touch "${record.login}"`);
  return record;
}

/** Finds the id of somebody who has environments, given it or what they are called. */
async function personMeant({ store, directory }: Context, text: string): Promise<string> {
  if (directory.find(text) !== undefined) return text;
  const ids = new Set((await store.list()).map(({ person }) => person));
  const meant = [...ids].filter((id) => directory.find(id)?.name.toLowerCase() === text.toLowerCase());
  const [id = text, another] = meant;
  if (another === undefined) return id;
  throw new Fault("usage.wrong", `Cannot tell whom "${text}" means: it is the name of ${meant.join(" and ")}`, {
    told: `${text} is the name of several: ${meant.join(", ")}`,
  });
}

function asOfOf({ asOf }: Target): { readonly asOf?: AsOf } {
  return asOf === undefined ? {} : { asOf };
}

/** Lets in by the last good answer, and says so. */
function tellStale({ log }: Context, who: Who, { asOf, login }: Target, report: Report): void {
  if (asOf === undefined) return;
  const at = new Date(asOf.at).toISOString();
  log.warn("access.stale", { person: who.person, login, forge: asOf.forge, verifiedAt: at });
  report(staleLine(asOf.forge, asOf.at));
}
