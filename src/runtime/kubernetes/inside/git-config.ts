/**
 * Git's configuration of the system's level inside: who commits. The person's own `~/.gitconfig` wins over it.
 *
 * A file of the image, which may be read-only, cannot be changed; so git is pointed to a file of ours, which takes the
 * image's in. Git before 2.32 does not know the variable and asks who the person is; sessions tell it by `GIT_AUTHOR_*`.
 *
 * @module
 */
import { quoteGit } from "../../repository-files.ts";
import type { EnvironmentSpec } from "../../runtime.ts";
import { RUN } from "../inside.ts";

const PATH = `${RUN}/gitconfig`;

/** For every process inside; git(1). */
export const GIT_CONFIG_ENV: Readonly<Record<string, string>> = { GIT_CONFIG_SYSTEM: PATH };

/** Makes the text of `RUN/gitconfig`. */
export function makeGitConfig({ author }: Pick<EnvironmentSpec, "author">): string {
  const own = "[include]\n\tpath = /etc/gitconfig\n"; // one that is not there is no error
  return `${own}[user]\n\tname = ${quoteGit(author.name)}\n\temail = ${quoteGit(author.email)}\n`;
}
