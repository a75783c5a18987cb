/**
 * The variables that processes of an environment begin with, beside those of its pod.
 *
 * @module
 */
import { TOOLS_PATH } from "./inside.ts";
import { GIT_CONFIG_ENV } from "./inside/git-config.ts";

/** For images that set none. */
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface InsideFacts {
  readonly user: string;
  readonly workspaceFolder: string;
}

/** What is so of every process inside; the image's own `PATH` is known inside only. */
export function baseEnvOf({ user, workspaceFolder }: InsideFacts): Record<string, string> {
  return {
    PATH: `${PATH}:${TOOLS_PATH}`,
    HOME: `/home/${user}`,
    USER: user,
    LOGNAME: user,
    SLIPWAY_WORKSPACE: workspaceFolder,
  };
}

/** For a session: `PATH` is left to the shell inside, which knows the pod's, unless the definition sets it. */
export function sessionEnvOf(
  facts: InsideFacts,
  env: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const { PATH: _path, ...base } = baseEnvOf(facts);
  return { ...base, ...GIT_CONFIG_ENV, ...env };
}
