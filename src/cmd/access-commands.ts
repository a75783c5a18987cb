/**
 * `slip access` and `slip authorized-keys`: what a running service knows of who may use what, asked over its control
 * socket.
 *
 * @module
 */
import type { Invocation } from "../base/command-line.ts";
import { wrongUsage } from "../base/command-line.ts";
import { type AccessExplanation, type AccessRow, controlRequests } from "../wire/control.ts";
import { askService } from "./control/ask-service.ts";
import { writeKeysFile } from "./control/write-keys-file.ts";
import type { Print } from "./key-commands.ts";
import type { StateFolder } from "./state-folder.ts";

/** Prints whether somebody may use a repository, and why. Both are answers: the exit code is 0. */
export async function explainAccess(state: StateFolder, call: Invocation, print: Print): Promise<void> {
  const [person = "", repository = ""] = call.args;
  const path = "/access/explain";
  const question = { socket: state.control, path, asked: { person, repository } } as const;
  const answer = await askService(question, controlRequests[path].answer);
  if (call.options["json"] === true) print(JSON.stringify(answer, undefined, 2));
  else for (const line of wordsFor(answer)) print(line);
}

function wordsFor(answer: AccessExplanation): string[] {
  const { person, repository, allowed, route, role, verifiedAt, isStale, sources, told, notes } = answer;
  const verdict = allowed
    ? `yes: ${person.login} may use ${repository.name}`
    : `no: ${told ?? `${person.login} may not use ${repository.name}`}`;
  const by = route === "grant" ? "a grant in the settings" : `the forge${role === undefined ? "" : `, role ${role}`}`;
  const rows = [
    ["person", person.id],
    ["repository", repository.id],
    ["route", by],
    ["verified", verifiedAt ?? (route === "grant" ? "whenever the settings are read" : "never")],
    ...sources.map((source) => ["from", source]),
    ...(isStale ? [["stale", "the forge could not be asked; this is what its last good answer says"]] : []),
    ...notes.map((note) => ["note", note]),
  ];
  return [verdict, ...rows.map(([name = "", value = ""]) => `  ${name.padEnd(10)}  ${value}`)];
}

/** Prints a row for each person and repository. */
export async function listAccess(state: StateFolder, call: Invocation, print: Print): Promise<void> {
  const path = "/access/list";
  const person = textOf(call, "person");
  const repository = textOf(call, "repository");
  const asked = { ...(person === undefined ? {} : { person }), ...(repository === undefined ? {} : { repository }) };
  const rows = await askService({ socket: state.control, path, asked }, controlRequests[path].answer);
  if (call.options["json"] === true) print(JSON.stringify(rows, undefined, 2));
  else for (const row of rows) print(lineOf(row));
}

function lineOf({ person, login, repository, route, role, keyCount, verifiedAt, isStale }: AccessRow): string {
  const keys = keyCount === 1 ? "1 key" : `${keyCount} keys`;
  return [repository, login, person, role ?? route, keys, verifiedAt ?? "-", ...(isStale ? ["stale"] : [])].join("\t");
}

/**
 * Prints the keys for a Unix user, or writes them to a file. Without an answer nothing is printed, so that sshd lets nobody
 * in.
 */
export async function printAuthorizedKeys(state: StateFolder, call: Invocation, print: Print): Promise<void> {
  const user = textOf(call, "user");
  if (user === undefined) throw wrongUsage("--user has to name a user under authorizedKeys in the settings");
  const path = "/authorized-keys";
  const question = { socket: state.control, path, asked: { user } } as const;
  const answer = await askService(question, controlRequests[path].answer);
  const folder = textOf(call, "folder");
  if (folder !== undefined) await writeKeysFile(folder, answer.user, answer.fileLines);
  if (call.options["json"] === true) print(JSON.stringify(answer, undefined, 2));
  else if (folder === undefined) for (const line of answer.lines) print(line);
}

function textOf({ options }: Invocation, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}
