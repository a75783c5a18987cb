/**
 * GitHub, github.com and Enterprise Server alike, asked over REST with a token or as a GitHub App.
 *
 * Made by `cmd/`, asked by `access/`. Why REST, and why by hand: docs/decisions/0007-forge-rest-clients.md.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import type { Log } from "../../base/log.ts";
import type { ForgeSecrets, ForgeSettings } from "../../wire/forge-settings.ts";
import type { ForgeClient } from "../forge-client.ts";
import type { AnswerCache } from "../../wire/knowledge.ts";
import { openForgeHttp, type ForgeHttpOptions } from "../http/forge-http.ts";
import { readGithubRate } from "../http/rates.ts";
import { Accounts } from "./accounts.ts";
import { makeAppCredential } from "./app-credential.ts";
import { readAppKey } from "./app-key.ts";
import type { Credential } from "./credential.ts";
import { inspect } from "./inspect.ts";
import { Repositories } from "./repositories.ts";
import { Roles } from "./roles.ts";
import { makeTokenCredential } from "./token-credential.ts";
import { isOfInstallations, readWebhook } from "./webhook.ts";

export interface GithubOptions {
  readonly settings: ForgeSettings;
  readonly secrets: ForgeSecrets;
  readonly clock: Clock;
  readonly log: Log;
  readonly cache: AnswerCache;
  /** For tests, which do not wait as long. */
  readonly limits?: ForgeHttpOptions["limits"];
}

const HEADERS = { accept: "application/vnd.github+json", "x-github-api-version": "2022-11-28" };

/** Makes the client of one GitHub. @throws {Fault} `settings.invalid` for an App's key that is none */
export function makeGithub(options: GithubOptions): ForgeClient {
  const { settings, secrets, clock } = options;
  const credential = makeCredential(options);
  const repositories = new Repositories({ settings, credential, clock });
  const accounts = new Accounts(settings, credential);
  const roles = new Roles(credential, repositories, accounts);
  const ask = <Value>(question: () => Promise<Value>): Promise<Value> => asked(credential, question);
  return {
    type: "github",
    listRepositories: (asking) => ask(() => repositories.list(asking)),
    readRepository: (repository, asking) => ask(() => repositories.read(repository, asking)),
    listCollaborators: (repository, asking) => ask(() => roles.list(repository, asking)),
    readRole: (repository, account, asking) => ask(() => roles.read(repository, account, asking)),
    readAccount: (accountId, asking) => ask(() => accounts.read(accountId, asking)),
    listKeys: (account, asking) => ask(() => accounts.listKeys(account, asking)),
    fetchCredential: ({ owner }, signal) => credential.gitCredential(owner, signal),
    pushCredential: (repository, signal) => credential.pushCredential(repository, signal),
    inspect: (signal) => inspect(settings, credential, signal),
    readWebhook: (headers, body) => {
      const reading = readWebhook(headers, body, secrets.webhook);
      if (reading.type === "hints" && isOfInstallations(headers)) credential.forget();
      return reading;
    },
    get budget() {
      return credential.http.budget;
    },
  };
}

/**
 * Asks once more when it turned out meanwhile that an App is no longer installed where it was: the second answer says so
 * of the repositories there, instead of failing.
 */
async function asked<Value>(credential: Credential, question: () => Promise<Value>): Promise<Value> {
  const before = credential.forgottenCount;
  try {
    return await question();
  } catch (error) {
    const isRefused = error instanceof Fault && error.code === "forge.refused";
    if (!isRefused || credential.forgottenCount === before) throw error;
    return await question();
  }
}

function makeCredential({ settings, secrets, clock, log, cache, limits }: GithubOptions): Credential {
  const http: Omit<ForgeHttpOptions, "authorize"> = {
    apiUrl: settings.apiUrl,
    headers: HEADERS,
    readRate: readGithubRate,
    clock,
    log: log.with({ forge: settings.name }),
    cache,
    ...(limits === undefined ? {} : { limits }),
  };
  if (settings.credential.type === "token") {
    const authorization = `Bearer ${secrets.credential}`;
    return makeTokenCredential(openForgeHttp({ ...http, authorize: () => ({ authorization }) }), secrets.credential);
  }
  const key = readAppKey(settings.name, secrets.credential);
  const takesWebhooks = secrets.webhook !== undefined;
  return makeAppCredential({ appId: settings.credential.appId, key, takesWebhooks, http });
}
