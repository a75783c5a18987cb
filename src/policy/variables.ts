/**
 * The variables that a `devcontainer.json` can refer to: https://containers.dev/implementors/json_reference/, "Variables
 * in devcontainer.json". As in the reference implementation (devcontainers/cli, variableSubstitution.ts) whatever is not
 * one of them stays as it is: a shell line has `${…}` of its own. Unlike there, a default may have ":" in it.
 *
 * Called by `definition.ts`, and when a session gets its environment.
 *
 * @module
 */

export interface VariableFacts {
  /** Name of the repository. */
  readonly repository: string;
  readonly environmentId: string;
  /** Where sessions begin. */
  readonly workspaceFolder: string;
}

const REFERENCE = /\$\{(\w+)(?::([^}]*))?\}/g;

/** Where the checkout of a repository is. */
export function checkoutFolder(repository: string): string {
  return `/workspace/${repository}`;
}

/**
 * Replaces all but `${containerEnv:…}`. What people call local is here: there is no other machine, so its folder is the
 * checkout and its environment variables have their defaults.
 *
 * @param onEmpty called with each reference that is now empty for want of a default
 */
export function replaceVariables(text: string, facts: VariableFacts, onEmpty: (reference: string) => void): string {
  return text.replace(REFERENCE, (reference: string, name: string, rest: string | undefined) => {
    switch (name) {
      case "env":
      case "localEnv": {
        const { standIn } = readReference(rest);
        if (standIn === undefined) onEmpty(reference);
        return standIn ?? "";
      }
      case "localWorkspaceFolder":
        return checkoutFolder(facts.repository);
      case "localWorkspaceFolderBasename":
        return facts.repository;
      case "containerWorkspaceFolder":
        return facts.workspaceFolder;
      case "containerWorkspaceFolderBasename":
        return facts.workspaceFolder.replace(/^.*\//s, "");
      case "devcontainerId":
        return facts.environmentId;
      default:
        return reference;
    }
  });
}

/** Says whether a text refers to a variable of the container. */
export function refersToContainerEnv(text: string): boolean {
  return [...text.matchAll(REFERENCE)].some(([, name]) => name === "containerEnv");
}

/** Replaces `${containerEnv:NAME}` and `${containerEnv:NAME:default}` by what processes inside have. */
export function replaceContainerEnv(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(REFERENCE, (reference: string, name: string, rest: string | undefined) => {
    if (name !== "containerEnv") return reference;
    const { variable, standIn } = readReference(rest);
    return (Object.hasOwn(env, variable) ? env[variable] : standIn) ?? "";
  });
}

function readReference(rest = ""): { variable: string; standIn: string | undefined } {
  const colon = rest.indexOf(":");
  return colon === -1
    ? { variable: rest, standIn: undefined }
    : { variable: rest.slice(0, colon), standIn: rest.slice(colon + 1) };
}
