/**
 * From the definition found in a checkout to what a start, a command and a session get of it.
 *
 * What a definition means is decided in `policy/`; here it is put beside the record and the person it is for.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import { makeDefinition } from "../policy/definition.ts";
import { replaceContainerEnv } from "../policy/variables.ts";
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
  { id, repository }: Pick<EnvironmentRecord, "id" | "repository">,
): { readonly definition: Definition; readonly notes: readonly string[] } {
  const facts = { repository, environmentId: id };
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
  const { user, workspaceFolder, containerEnv, slipway } = definition;
  return {
    user,
    workspaceFolder,
    containerEnv,
    runEnv,
    ...(slipway.run === undefined ? {} : { run: slipway.run }),
  };
}

/** Variables for what runs in an environment on behalf of its person: `remoteEnv`, who and where it is. */
export function commandEnvOf(
  definition: Definition,
  record: EnvironmentRecord,
  directory: Context["directory"],
): Readonly<Record<string, string>> {
  const person = directory.find(record.person);
  const remoteEnv: Record<string, string> = {};
  for (const [variable, value] of Object.entries(definition.remoteEnv)) {
    if (value !== null) remoteEnv[variable] = replaceContainerEnv(value, definition.containerEnv);
  }
  const name = person?.fullName ?? record.person;
  const email = person?.email ?? "";
  return {
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: email,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: email,
    ...remoteEnv,
    SLIPWAY_LOGIN: record.login,
    SLIPWAY_PERSON: record.person,
  };
}
