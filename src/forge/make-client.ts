/**
 * Makes the client that a forge of the settings needs.
 *
 * Called by `cmd/`.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { ForgeSecrets, ForgeSettings } from "../wire/forge-settings.ts";
import type { ForgeClient } from "./forge-client.ts";
import type { AnswerCache } from "../wire/knowledge.ts";
import { makeGitea } from "./gitea/gitea.ts";
import { makeGithub } from "./github/github.ts";
import { makeGitlab } from "./gitlab/gitlab.ts";

export interface ForgeClientOptions {
  readonly settings: ForgeSettings;
  readonly secrets: ForgeSecrets;
  readonly clock: Clock;
  readonly log: Log;
  readonly cache: AnswerCache;
}

/** Makes the client of one forge; asks nothing yet. @throws {Fault} `settings.invalid` when the secrets cannot be used */
export function makeForgeClient(options: ForgeClientOptions): ForgeClient {
  switch (options.settings.type) {
    case "github":
      return makeGithub(options);
    case "gitlab":
      return makeGitlab(options);
    case "gitea":
      return makeGitea(options);
  }
}
