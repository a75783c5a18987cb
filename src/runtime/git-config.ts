/**
 * What git inside is configured with, at the system's level: who commits, and whom it asks for credentials. A person's own
 * `~/.gitconfig` wins over it.
 *
 * @module
 */
import { quoteGit } from "./repository-files.ts";

export interface GitFacts {
  readonly author: { readonly name: string; readonly email: string };
  /** For whom git asks the service for credentials. */
  readonly credentialHost?: string | undefined;
}

/** Makes the text. @param helper absolute path of the program inside that asks the service */
export function makeGitConfig({ author, credentialHost }: GitFacts, helper: string): string {
  const user = `[user]\n\tname = ${quoteGit(author.name)}\n\temail = ${quoteGit(author.email)}\n`;
  return user + makeCredentialConfig(credentialHost, helper);
}

/** gitcredentials(7): a person's own helpers are asked after ours, or alone after an empty one. */
function makeCredentialConfig(host: string | undefined, helper: string): string {
  if (host === undefined) return "";
  // Without the path one repository's credential would be taken for every other's of that host.
  return `[credential ${quoteGit(`https://${host}`)}]\n\thelper = ${helper}\n\tuseHttpPath = true\n`;
}
