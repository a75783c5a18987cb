/**
 * From the definition found in a checkout to what a start, a command and a session get of it.
 *
 * What a definition means is decided in `policy/`; here it is put beside the record and the person it is for.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import { makeDefinition } from "../policy/definition.ts";
import { sessionEnv } from "../policy/session-env.ts";
import type { Place } from "../policy/unheld-properties.ts";
import type { StartSpec } from "../runtime/runtime.ts";
import type { EnvironmentRecord } from "../store/environments.ts";
import type { Definition } from "../wire/definition.ts";
import type { StoredDefinition } from "../wire/environment.ts";
import type { Context } from "./context.ts";

/**
 * Reads a definition. One that cannot be used counts as none, with its complaints as notes: only somebody who gets in can
 * mend it.
 */
export function readDefinition(
  found: StoredDefinition | undefined,
  { id, repositoryName }: Pick<EnvironmentRecord, "id" | "repositoryName">,
  place: Place,
): { readonly definition: Definition; readonly notes: readonly string[] } {
  const facts = { repository: repositoryName, environmentId: id, place };
  if (found === undefined) return { definition: makeDefinition(undefined, facts), notes: [] };
  try {
    return { definition: makeDefinition({ source: found.path, text: found.text }, facts), notes: [] };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const notes = [`${found.path} cannot be used, so this environment is as without it:`, ...error.told.split("\n")];
    return { definition: makeDefinition(undefined, facts), notes };
  }
}

/** Makes what the runtime is told of a definition. */
export function startSpecOf(definition: Definition, runEnv: Readonly<Record<string, string>>): StartSpec {
  const { user, workspaceFolder, containerEnv, container, slipway } = definition;
  return {
    user,
    workspaceFolder,
    containerEnv,
    runEnv,
    container,
    ...(slipway.run === undefined ? {} : { run: slipway.run }),
  };
}

/** For which session variables are; without it they are for a command of the environment's life. */
export interface SessionName {
  readonly sessionId: string;
  /** As typed. */
  readonly login: string;
}

/** Makes the variables for what runs in an environment on behalf of its person. */
export function envOf(
  { directory, runtime }: Pick<Context, "directory" | "runtime">,
  record: EnvironmentRecord,
  definition: Definition,
  session?: SessionName,
): Readonly<Record<string, string>> {
  // Somebody whose name is no longer in the settings has no session, but what they left running goes on.
  const nobody = { id: record.person, name: record.person, fullName: record.person, email: "", admin: false };
  return sessionEnv({
    person: directory.find(record.person) ?? nobody,
    login: session?.login ?? record.login,
    ...(session === undefined ? {} : { sessionId: session.sessionId }),
    environment: { id: record.id, repository: record.repositoryName, branch: record.branch },
    definition,
    baseEnv: runtime.baseEnv(definition.user, definition.workspaceFolder),
  });
}
