/**
 * Git's configuration of the system's level inside.
 *
 * A file of the image, which may be read-only, cannot be changed; so git is pointed to a file of ours, which takes the
 * image's in. Git before 2.32 does not know the variable and asks who the person is; sessions tell it by `GIT_AUTHOR_*`. Nor
 * does it ask us for credentials.
 *
 * @module
 */
import { makeGitConfig } from "../../git-config.ts";
import type { EnvironmentSpec } from "../../runtime.ts";
import { GIT_CREDENTIAL, RUN } from "../inside.ts";

const PATH = `${RUN}/gitconfig`;

/** For every process inside; git(1). */
export const GIT_CONFIG_ENV: Readonly<Record<string, string>> = { GIT_CONFIG_SYSTEM: PATH };

/** Makes the text of `RUN/gitconfig`. */
export function makeInsideGitConfig({ author, source }: Pick<EnvironmentSpec, "author" | "source">): string {
  const own = "[include]\n\tpath = /etc/gitconfig\n"; // one that is not there is no error
  return own + makeGitConfig({ author, credentialHost: source.credentialHost }, GIT_CREDENTIAL);
}
