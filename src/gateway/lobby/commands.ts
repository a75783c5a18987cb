/**
 * The commands of the lobby, `ssh slip@host <command>`, as data: help, usage and what they do in one place.
 *
 * Called by `lobby.ts`.
 *
 * @module
 */
import {
  JSON_OPTION,
  readWords,
  usageOf,
  wrongUsage,
  type CommandShape,
  type Invocation,
  type OptionSpec,
} from "../../base/command-line.ts";
import { Fault } from "../../base/fault.ts";
import type { Directory, Known } from "../../forge/directory.ts";
import { fingerprintOf } from "../../base/fingerprint.ts";
import type { EnvironmentRow, PoolExplanation, PoolRow, SessionRow, WhoRow } from "../../wire/lobby.ts";
import type { Person, Who } from "../../wire/person.ts";
import type { Session, Sessions } from "../sessions.ts";
import { poolCells, poolText } from "./pool-words.ts";

/** Whose environment a command is about. */
export interface EnvironmentRef {
  /** Id, or what they are called. */
  readonly person: string;
  readonly login: string;
  /** Its person, when it is they who ask: whatever tells of a repository needs the right to it. Administrators need none. */
  readonly who?: Who;
}

/** What the lobby needs of the environments. `controller/` has them. */
export interface LobbyEnvironments {
  /** Those of one person, or all. */
  list(person: string | undefined): Promise<EnvironmentRow[]>;
  /** Makes an environment without entering it. @returns its login */
  create(
    request: { who: Who; repository: string; branch: string; from?: string },
    report: (line: string) => void,
    signal: AbortSignal,
  ): Promise<string>;
  /** @throws {Fault} `environment.unsaved` listing the work that would be lost, unless `force` */
  remove(ref: EnvironmentRef, options: { force: boolean; by: string }): Promise<void>;
  /**
   * Ends every process of it and cuts its sessions; files stay, and the next who enters wakes it.
   *
   * @throws {Fault} `grant.absent`, here and below, when they may not use its repository any more
   */
  sleep(ref: EnvironmentRef, options: { by: string }): Promise<void>;
  readLog(ref: EnvironmentRef): Promise<string>;
  /**
   * Moves it to another cluster with its files. @returns how long nobody could be in it, in milliseconds
   *
   * @throws {Fault} `environment.unsaved` naming the volumes that would be left, unless `force`
   */
  migrate(
    ref: EnvironmentRef,
    options: { to: string; by: string; force: boolean; report: (line: string) => void },
    signal: AbortSignal,
  ): Promise<number>;
}

/** What the lobby needs of the pools. `controller/pools/` has them. */
export interface LobbyPools {
  list(): Promise<PoolRow[]>;
  /** @throws {Fault} `usage.wrong` when there is no such pool */
  explain(name: string): Promise<PoolExplanation>;
}

/** One call of a command. */
export interface Call extends Invocation {
  readonly person: Person;
  /** The same, and the key that they proved. */
  readonly who: Who;
  readonly directory: Pick<Directory, "known">;
  readonly environments: LobbyEnvironments;
  /** Absent where there are none. */
  readonly pools?: LobbyPools | undefined;
  readonly sessions: Sessions;
  /** Writes to standard output; a line end is added. */
  readonly print: (line: string) => void;
  /** Writes to standard error. */
  readonly tell: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface LobbyCommand extends CommandShape {
  run(call: Call): Promise<void>;
}

const PERSON_OPTION: OptionSpec = { type: "string", value: "name", summary: "of this person (administrators)" };

/** Everything the lobby can do, in the order of the help. */
export const lobbyCommands: readonly LobbyCommand[] = [
  {
    name: "ls",
    args: [],
    summary: "list your environments",
    options: { all: { type: "boolean", summary: "of everybody (administrators)" }, json: JSON_OPTION },
    run: async (call) => {
      const all = call.options["all"] === true;
      if (all) mustBeAdmin(call.person, "list everybody's environments");
      const rows = await call.environments.list(all ? undefined : call.person.id);
      const hasClusters = rows.some(({ cluster }) => cluster !== undefined);
      printRows(call, rows, (row) => [
        row.login,
        row.phase,
        row.power,
        `${row.sessionCount}`,
        row.lastActiveAt,
        row.person,
        ...(hasClusters ? [row.cluster ?? "-"] : []),
      ]);
    },
  },
  {
    name: "new",
    args: ["repository", "branch"],
    summary: "make an environment; a branch that does not exist yet begins at --from",
    options: { from: { type: "string", value: "branch", summary: "start the new branch here" }, json: JSON_OPTION },
    run: async (call) => {
      const [repository = "", branch = ""] = call.args;
      const from = call.options["from"];
      const request = { who: call.who, repository, branch, ...(typeof from === "string" ? { from } : {}) };
      const login = await call.environments.create(request, call.tell, call.signal);
      printOne(call, { login }, login);
    },
  },
  {
    name: "rm",
    args: ["login"],
    summary: "remove an environment with all its files, home and ignored files included",
    options: {
      force: { type: "boolean", summary: "even when work in it is not pushed" },
      person: PERSON_OPTION,
      json: JSON_OPTION,
    },
    run: async (call) => {
      const ref = refOf(call);
      await call.environments.remove(ref, { force: call.options["force"] === true, by: call.person.name });
      printOne(call, { removed: ref.login }, `removed ${ref.login}`);
    },
  },
  {
    name: "sleep",
    args: ["login"],
    summary: "end everything that runs in an environment; its files stay, and the next login wakes it",
    options: { person: PERSON_OPTION, json: JSON_OPTION },
    run: async (call) => {
      const ref = refOf(call);
      await call.environments.sleep(ref, { by: call.person.name });
      printOne(call, { sleeping: ref.login }, `${ref.login} sleeps`);
    },
  },
  {
    name: "migrate",
    args: ["login"],
    summary: "move an environment to another cluster with its files, unpushed work included; its login stays",
    options: {
      to: { type: "string", value: "cluster", summary: "where to; must be there" },
      force: { type: "boolean", summary: "even when it has volumes, as a database's, which are not moved" },
      person: PERSON_OPTION,
      json: JSON_OPTION,
    },
    run: async (call) => {
      const ref = refOf(call);
      const { to } = call.options;
      if (typeof to !== "string" || to === "") throw wrongUsage("--to has to name a cluster");
      const options = { to, by: call.person.name, force: call.options["force"] === true, report: call.tell };
      const downMs = Math.round(await call.environments.migrate(ref, options, call.signal));
      printOne(call, { migrated: ref.login, to, downMs }, `${ref.login} is on ${to} now; it was down for ${downMs} ms`);
    },
  },
  {
    name: "pool ls",
    args: [],
    summary: "list the pools of environments that are kept ready",
    options: { json: JSON_OPTION },
    run: async (call) => {
      printRows(call, (await call.pools?.list()) ?? [], poolCells);
    },
  },
  {
    name: "pool explain",
    args: ["name"],
    summary: "tell how a pool is: its members, hits and misses with their reasons, refill time and idle cost",
    options: { json: JSON_OPTION },
    run: async (call) => {
      if (call.pools === undefined) throw wrongUsage("there are no pools; they are kept on clusters");
      const explained = await call.pools.explain(call.args[0] ?? "");
      printOne(call, explained, poolText(explained));
    },
  },
  {
    name: "whoami",
    args: [],
    summary: "print what is known of you, from where and since when",
    options: { json: JSON_OPTION },
    run: async (call) => {
      const known = call.directory.known(call.who);
      if (known === undefined) throw new Error("Cannot say who this is: nobody knows them any more");
      const row = whoRowOf(known, call.who);
      printOne(call, row, whoText(row));
    },
  },
  {
    name: "who",
    args: [],
    summary: "list live sessions",
    options: { json: JSON_OPTION },
    run: async (call) => {
      const seen = call.sessions.all().filter((session) => maySee(call.person, session));
      printRows(call, seen.map(rowOf), (row) => [
        row.id,
        row.person,
        row.login,
        row.from,
        row.since,
        row.lastInputAt,
        row.client,
      ]);
    },
  },
  {
    name: "kill",
    args: ["session"],
    summary: "end a live session",
    options: { json: JSON_OPTION },
    run: async (call) => {
      const id = call.args[0] ?? "";
      const session = call.sessions.find(id);
      if (session === undefined || !maySee(call.person, session)) {
        const told = `there is no session ${JSON.stringify(id)}; "who" lists them`;
        throw new Fault("session.absent", `Cannot end session ${id}: none of ${call.person.name}'s`, { told });
      }
      session.end(`this session was ended by ${call.person.name}`);
      printOne(call, { killed: id }, `killed ${id}`);
    },
  },
  {
    name: "log",
    args: ["login"],
    summary: "print the start-up and service output of an environment",
    options: { person: PERSON_OPTION, json: JSON_OPTION },
    run: async (call) => {
      const text = await call.environments.readLog(refOf(call));
      printOne(call, { log: text }, text.replace(/\n$/, ""));
    },
  },
  {
    name: "help",
    args: [],
    summary: "print this",
    options: { json: JSON_OPTION },
    run: async (call) => {
      printOne(
        call,
        {
          commands: lobbyCommands.map((command) => ({
            name: command.name,
            usage: usageOf(command),
            summary: command.summary,
          })),
        },
        helpText(),
      );
    },
  },
];

function mustBeAdmin(person: Person, act: string): void {
  if (person.admin) return;
  const text = `Cannot ${act}: ${person.name} is no administrator`;
  throw new Fault("grant.absent", text, { told: `only administrators may ${act}` });
}

function maySee(person: Person, session: Session): boolean {
  return person.admin || session.personId === person.id;
}

function refOf(call: Call): EnvironmentRef {
  const person = call.options["person"];
  if (typeof person !== "string") return { person: call.person.id, login: call.args[0] ?? "", who: call.who };
  mustBeAdmin(call.person, "touch environments of others");
  return { person, login: call.args[0] ?? "" };
}

function rowOf(session: Session): SessionRow {
  const { id, person, login, from, client, bytesFromClient, bytesToClient, channelCount } = session;
  const iso = (at: number): string => new Date(at).toISOString();
  return {
    id,
    person,
    login,
    from,
    client,
    since: iso(session.since),
    lastInputAt: iso(session.lastInputAt),
    bytesFromClient,
    bytesToClient,
    channelCount,
  };
}

function whoRowOf({ person, keyFrom, account, repositories }: Known, { key }: Who): WhoRow {
  const iso = (at: number): string => new Date(at).toISOString();
  return {
    name: person.name,
    id: person.id,
    fullName: person.fullName,
    email: person.email,
    admin: person.admin,
    key: fingerprintOf(Buffer.from(key, "base64")),
    keyFrom,
    ...(account === undefined
      ? {}
      : {
          account: {
            forge: account.forge,
            login: account.login,
            state: account.state,
            ...(account.stateVerifiedAt === undefined ? {} : { stateVerifiedAt: iso(account.stateVerifiedAt) }),
            ...(account.keysVerifiedAt === undefined ? {} : { keysVerifiedAt: iso(account.keysVerifiedAt) }),
          },
        }),
    repositories: repositories.map(({ name, role, verifiedAt }) => ({
      repository: name,
      ...(role === undefined ? {} : { role }),
      ...(verifiedAt === undefined ? {} : { verifiedAt: iso(verifiedAt) }),
    })),
  };
}

function whoText({ account, repositories, ...row }: WhoRow): string {
  const rows = [...Object.entries(row), ...Object.entries(account ?? {})];
  const used = repositories.map(({ repository, role = "granted", verifiedAt }) =>
    ["repository", repository, role, ...(verifiedAt === undefined ? [] : [verifiedAt])].join("\t"),
  );
  return [...rows.map(([name, value]) => `${name}\t${value}`), ...used].join("\n");
}

/** JSON escapes the first 32 control characters only; terminals obey 32 more. */
function writeJson(value: unknown): string {
  const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value, undefined, 2).replace(/[\u007f-\u009f]/g, escape);
}

function printRows<Row>(call: Call, rows: readonly Row[], cells: (row: Row) => readonly string[]): void {
  if (call.options["json"] === true) call.print(writeJson(rows));
  else for (const row of rows) call.print(cells(row).join("\t"));
}

function printOne(call: Call, value: unknown, text: string): void {
  call.print(call.options["json"] === true ? writeJson(value) : text);
}

/** Reads the words of a command line. @throws {Fault} `usage.wrong` */
export function readCommand(words: readonly string[]): { command: LobbyCommand } & Invocation {
  const asked = words.length === 0 ? ["help"] : words;
  const command = lobbyCommands.find(({ name }) => name.split(" ").every((word, at) => asked[at] === word));
  if (command === undefined) {
    const isKnown = lobbyCommands.some(({ name }) => name.startsWith(`${asked[0] ?? ""} `));
    const typed = asked.slice(0, isKnown ? 2 : 1).join(" ");
    throw wrongUsage(`there is no command ${JSON.stringify(typed)}; "help" lists them`);
  }
  return { command, ...readWords(command, asked.slice(command.name.split(" ").length)) };
}

function helpText(): string {
  const lines = lobbyCommands.flatMap((command) => [
    `  ${usageOf(command)}`,
    `      ${command.summary}`,
    ...Object.entries(command.options)
      .filter(([key]) => key !== "json")
      .map(([key, option]) => `      --${key}: ${option.summary}`),
  ]);
  return ["ssh slip@host <command>; with --json for programs, tab-separated otherwise", "", ...lines].join("\n");
}
