/**
 * Gitea and Forgejo, whose API is the same as far as it is used here, as a `ForgeClient`.
 *
 * Their paths name accounts and repositories, and names change hands: so every question begins with the number, finds out
 * what it is called now, and checks numbers in the answers. That costs a request or two more than elsewhere; neither forge
 * rations them, nor gives entity tags.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import type { Log } from "../../base/log.ts";
import type { ForgeSecrets, ForgeSettings } from "../../wire/forge-settings.ts";
import type { Collaborator, ForgeAccount, ForgeRepository, ForgeRole } from "../../wire/forge.ts";
import type { AccountName, Answer, Ask, ForgeClient } from "../forge-client.ts";
import type { AnswerCache } from "../../wire/knowledge.ts";
import { type ForgeHttp, type HttpAnswer, openForgeHttp } from "../http/forge-http.ts";
import { pathOf } from "../http/path.ts";
import { findAccount, listKeysOf, numberOf, Suspensions } from "./accounts.ts";
import { inspectGitea } from "./inspect.ts";
import { accountOf, entriesBeside, isConnected, repositoryOf } from "./meaning.ts";
import { readPages } from "./pages.ts";
import { GiteaRoles } from "./roles.ts";
import { Repository } from "./shapes.ts";
import { readGiteaWebhook } from "./webhooks.ts";

export interface GiteaOptions {
  readonly settings: ForgeSettings;
  /** An access token with `read:user`, `read:organization` and `read:repository`, best of a site administrator. */
  readonly secrets: ForgeSecrets;
  readonly clock: Clock;
  readonly log: Log;
  readonly cache: AnswerCache;
}

/** Nothing is rationed, but a refresh of everything should leave room for the people who use the forge. Guess. */
const LIMITS = { pointsPerSecond: 100, burstPoints: 500 };

/** Makes the client of one Gitea or Forgejo. It holds nothing that needs closing. */
export function makeGitea(options: GiteaOptions): ForgeClient {
  const { settings, secrets, clock, log, cache } = options;
  const http = openForgeHttp({
    apiUrl: settings.apiUrl,
    headers: { accept: "application/json" },
    authorize: () => ({ authorization: `token ${secrets.credential}` }),
    clock,
    log,
    cache,
    limits: LIMITS,
  });
  const reader = new GiteaReader(http, settings, clock);
  return {
    type: "gitea",
    listRepositories: (ask) => reader.listRepositories(ask),
    readRepository: (repository, ask) => reader.readRepository(repository, ask),
    listCollaborators: (repository, ask) => reader.listCollaborators(repository, ask),
    readRole: (repository, account, ask) => reader.readRole(repository, account, ask),
    readAccount: (accountId, ask) => reader.readAccount(accountId, ask),
    listKeys: (account, ask) => reader.listKeys(account, ask),
    // The name may be anything when the password is a token: services/auth/basic.go.
    fetchCredential: async () => ({ username: "slipway", password: secrets.credential, expiresAt: undefined }),
    // Tokens are for all that their account may do.
    pushCredential: async () => undefined,
    inspect: (signal) => inspectGitea(http, settings, signal),
    readWebhook: (headers, body) => readGiteaWebhook(headers, body, { secret: secrets.webhook, settings }),
    budget: undefined,
  };
}

class GiteaReader {
  readonly #http: ForgeHttp;
  readonly #settings: ForgeSettings;
  readonly #clock: Clock;
  readonly #roles: GiteaRoles;
  readonly #suspensions: Suspensions;

  constructor(http: ForgeHttp, settings: ForgeSettings, clock: Clock) {
    this.#http = http;
    this.#settings = settings;
    this.#clock = clock;
    this.#roles = new GiteaRoles(http);
    this.#suspensions = new Suspensions(http, clock);
  }

  async listRepositories(ask: Ask): Promise<Answer<readonly ForgeRepository[]>> {
    const found = new Map<number, ForgeRepository>();
    const asked: Pick<HttpAnswer<unknown>, "askedAt" | "source">[] = [];
    for (const organization of this.#settings.organizations) {
      const answer = await this.#listOf(organization, ask);
      asked.push(answer);
      for (const repository of answer.value) found.set(repository.id, repositoryOf(repository, this.#settings.url));
    }
    for (const path of this.#settings.repositories) {
      const answer = await this.#readEntry(path, ask);
      asked.push(answer);
      // A path that was given up leads on: to one renamed, which stays connected, or moved away, which does not.
      if (answer.status !== "ok") continue;
      const { value } = answer;
      if (isConnected(value, this.#settings) || entriesBeside(value, this.#settings).includes(path)) {
        found.set(value.id, repositoryOf(value, this.#settings.url));
      }
    }
    const askedAt = Math.min(...asked.map((answer) => answer.askedAt), this.#clock.now());
    return { value: [...found.values()], askedAt, source: asked.map(({ source }) => source).join(", ") };
  }

  async readRepository({ id }: ForgeRepository, ask: Ask): Promise<Answer<ForgeRepository | undefined>> {
    const { value, askedAt, source } = await this.#find(id, ask);
    const isOurs = value !== undefined && (await this.#isConnected(value, ask));
    return { value: isOurs ? repositoryOf(value, this.#settings.url) : undefined, askedAt, source };
  }

  async listCollaborators({ id }: ForgeRepository, ask: Ask): Promise<Answer<readonly Collaborator[] | undefined>> {
    const { value: repository, askedAt, source } = await this.#find(id, ask);
    if (repository === undefined) return { value: undefined, askedAt, source };
    const path = pathOf`/repos/${repository.owner.login}/${repository.name}/collaborators`;
    return { value: await this.#roles.list(repository, ask), askedAt, source: `GET ${path}` };
  }

  async readRole({ id }: ForgeRepository, account: AccountName, ask: Ask): Promise<Answer<ForgeRole>> {
    const { value: repository, askedAt, source } = await this.#find(id, ask);
    if (repository === undefined) return { value: "none", askedAt, source };
    const { owner, name } = repository;
    const path = pathOf`/repos/${owner.login}/${name}/collaborators/${account.login}/permission`;
    return { value: await this.#roles.read(repository, account, ask), askedAt, source: `GET ${path}` };
  }

  async readAccount(accountId: string, ask: Ask): Promise<Answer<ForgeAccount | undefined>> {
    const { value: account, askedAt, source } = await findAccount(this.#http, accountId, ask);
    if (account === undefined) return { value: undefined, askedAt, source };
    return { value: accountOf(account, await this.#suspensions.has(account, ask)), askedAt, source };
  }

  listKeys(account: AccountName, ask: Ask): Promise<Answer<readonly string[] | undefined>> {
    return listKeysOf({ http: this.#http, suspensions: this.#suspensions }, account, ask);
  }

  async #find(id: string, ask: Ask): Promise<Answer<Repository | undefined>> {
    const answer = await this.#http.get(`/repositories/${numberOf(id)}`, Repository, ask);
    const { askedAt, source } = answer;
    if (answer.status === "absent") return { value: undefined, askedAt, source };
    if (String(answer.value.id) === id) return { value: answer.value, askedAt, source };
    throw new Fault("forge.unreached", `Cannot use the answer to ${source}: it is about the number ${answer.value.id}`);
  }

  async #listOf(owner: string, ask: Ask) {
    const organization = await readPages(this.#http, { path: pathOf`/orgs/${owner}/repos`, item: Repository }, ask);
    if (organization.status === "ok") return organization;
    const user = await readPages(this.#http, { path: pathOf`/users/${owner}/repos`, item: Repository }, ask);
    if (user.status === "ok") return user;
    // Not an empty list: private organizations are hidden from tokens.
    throw new Fault(
      "forge.refused",
      `Cannot list the repositories of "${owner}": the token is shown neither an organization nor a user of this name`,
    );
  }

  async #readEntry(path: string, ask: Ask): Promise<HttpAnswer<Repository>> {
    const [owner = "", name = ""] = path.split("/");
    return await this.#http.get(pathOf`/repos/${owner}/${name}`, Repository, ask);
  }

  /** One that was connected by its path is so while that path leads to it: it was renamed, and nobody took the path. */
  async #isConnected(repository: Repository, ask: Ask): Promise<boolean> {
    if (isConnected(repository, this.#settings)) return true;
    for (const entry of entriesBeside(repository, this.#settings)) {
      const answer = await this.#readEntry(entry, ask);
      if (answer.status === "ok" && answer.value.id === repository.id) return true;
    }
    return false;
  }
}
