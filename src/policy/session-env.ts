/**
 * The environment variables of a session: what the repository's definition says, who the person is for git, and what is
 * so (`SLIPWAY_*`), which no definition can change.
 *
 * Called by `controller/` for each connection, and for each lifecycle command, which has no session.
 *
 * @module
 */
import type { Definition } from "../wire/definition.ts";
import type { Person } from "../wire/person.ts";
import type { Place } from "./login.ts";
import { replaceContainerEnv } from "./variables.ts";

export interface SessionEnvFacts {
  readonly person: Person;
  /** As the person typed it. */
  readonly login: string;
  readonly environment: Pick<Place, "repository" | "branch"> & { readonly id: string };
  /** Absent for a lifecycle command. */
  readonly sessionId?: string;
  readonly definition: Pick<Definition, "containerEnv" | "remoteEnv">;
  /**
   * What processes inside have before the definition has its say, at least `PATH` and `HOME`. Not in the result: it is
   * what `${containerEnv:PATH}` finds.
   */
  readonly baseEnv: Readonly<Record<string, string>>;
}

/**
 * Makes the variables of a session, in which `remoteEnv` goes over `containerEnv` and over the author for git. No value
 * has a NUL or a line break: sshd reads them from a file of lines.
 */
export function sessionEnv(facts: SessionEnvFacts): Readonly<Record<string, string>> {
  const { person, definition } = facts;
  const author = {
    GIT_AUTHOR_NAME: person.fullName,
    GIT_AUTHOR_EMAIL: person.email,
    GIT_COMMITTER_NAME: person.fullName,
    GIT_COMMITTER_EMAIL: person.email,
  };
  const containerEnv = { ...facts.baseEnv, ...definition.containerEnv };
  const remoteEnv = Object.entries(definition.remoteEnv).map(([name, value]): [string, string | null] => {
    return [name, value === null ? null : replaceContainerEnv(value, containerEnv)];
  });
  const wanted: [string, string | null][] = Object.entries({
    ...author,
    ...definition.containerEnv,
    ...Object.fromEntries(remoteEnv),
  });
  const env = wanted.filter(
    (entry): entry is [string, string] => entry[1] !== null && !entry[0].startsWith("SLIPWAY_"),
  );
  return onLines({ ...Object.fromEntries(env), ...whatIsSo(facts) });
}

function whatIsSo({ person, login, environment, sessionId }: SessionEnvFacts): Record<string, string> {
  return {
    SLIPWAY_LOGIN: login,
    SLIPWAY_PERSON: person.name,
    SLIPWAY_ENVIRONMENT: environment.id,
    SLIPWAY_REPOSITORY: environment.repository,
    SLIPWAY_BRANCH: environment.branch,
    ...(sessionId === undefined ? {} : { SLIPWAY_SESSION: sessionId }),
  };
}

/** Everything was checked where it came in; what slipped through must not become a line of somebody's sshd_config. */
function onLines(env: Record<string, string>): Record<string, string> {
  for (const [name, value] of Object.entries(env)) {
    if (/[\0\r\n]/.test(value)) throw new Error(`Cannot give ${name} to a session: it has a NUL or a line break`);
  }
  return env;
}
