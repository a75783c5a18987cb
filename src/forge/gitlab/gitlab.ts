/**
 * GitLab, of gitlab.com or an instance of one's own, as a `ForgeClient`.
 *
 * Everything is asked by number: projects and accounts keep theirs through renaming and moving. What a project's members
 * may do comes from `/members/all`, which counts in groups, subgroups and invited groups; members of private groups that
 * are invited are in it only if the token's account is a member itself, which `inspect` looks at.
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
import { readGitlabRate } from "../http/rates.ts";
import { entriesBeside, isConnected } from "./connected.ts";
import { inspectGitlab } from "./inspect.ts";
import { accountOf, collaboratorsOf, keysOf, repositoryOf, roleOf } from "./meaning.ts";
import { Member, Project, SshKey, User } from "./shapes.ts";
import { readGitlabWebhook } from "./webhooks.ts";

export interface GitlabOptions {
  readonly settings: ForgeSettings;
  /** A personal, group or project access token with `read_api` and `read_repository`. */
  readonly secrets: ForgeSecrets;
  readonly clock: Clock;
  readonly log: Log;
  readonly cache: AnswerCache;
}

/** The most that GitLab gives on one page: doc/api/rest, "Pagination". */
const PAGE = "per_page=100";

/** Below the 600 requests a minute that gitlab.com allowed to a token when it allowed the least; others set their own. */
const LIMITS = { pointsPerSecond: 8, burstPoints: 100 };

/** Makes the client of one GitLab. It holds nothing that needs closing. */
export function makeGitlab(options: GitlabOptions): ForgeClient {
  const { settings, secrets, clock, log, cache } = options;
  const http = openForgeHttp({
    apiUrl: settings.apiUrl,
    authorize: () => ({ "private-token": secrets.credential }),
    readRate: readGitlabRate,
    clock,
    log,
    cache,
    limits: LIMITS,
  });
  const reader = new GitlabReader(http, settings, clock);
  return {
    type: "gitlab",
    listRepositories: (ask) => reader.listRepositories(ask),
    readRepository: (repository, ask) => reader.readRepository(repository, ask),
    listCollaborators: (repository, ask) => reader.listCollaborators(repository, ask),
    readRole: (repository, account, ask) => reader.readRole(repository, account, ask),
    readAccount: (accountId, ask) => reader.readAccount(accountId, ask),
    listKeys: (account, ask) => reader.listKeys(account, ask),
    // The name may be anything: doc/user/profile/personal_access_tokens.md. This one is what OAuth tokens need.
    fetchCredential: async () => ({ username: "oauth2", password: secrets.credential, expiresAt: undefined }),
    // A token that could push to one project alone is one that a maintainer makes: GitLab gives none by itself.
    pushCredential: async () => undefined,
    inspect: (signal) => inspectGitlab(http, { settings, clock }, signal),
    readWebhook: (headers, body) =>
      readGitlabWebhook(headers, body, {
        secret: secrets.webhook,
        settings,
        idOfLogin: (login) => reader.idOfLogin(login),
      }),
    get budget() {
      return http.budget;
    },
  };
}

class GitlabReader {
  readonly #http: ForgeHttp;
  readonly #settings: ForgeSettings;
  readonly #clock: Clock;
  /** Ids by login in lower case, as answers told them; as many as there are accounts with a role. */
  readonly #ids = new Map<string, string>();

  constructor(http: ForgeHttp, settings: ForgeSettings, clock: Clock) {
    this.#http = http;
    this.#settings = settings;
    this.#clock = clock;
  }

  idOfLogin(login: string): string | undefined {
    return this.#ids.get(login.toLowerCase());
  }

  async listRepositories(ask: Ask): Promise<Answer<readonly ForgeRepository[]>> {
    const { organizations, repositories } = this.#settings;
    const found = new Map<string, ForgeRepository>();
    const asked: Pick<HttpAnswer<unknown>, "askedAt" | "source">[] = [];
    for (const organization of organizations) {
      const answer = await this.#listProjectsOf(organization, ask);
      asked.push(answer);
      for (const project of answer.value) found.set(String(project.id), repositoryOf(project, this.#settings.url));
    }
    for (const path of repositories) {
      const answer = await this.#http.get(pathOf`/projects/${path}`, Project, ask);
      asked.push(answer);
      // A path that was given up leads on: to one renamed, which stays connected, or moved away, which does not.
      if (answer.status !== "ok") continue;
      const { path_with_namespace: now } = answer.value;
      if (isConnected(now, this.#settings) || entriesBeside(now, this.#settings).includes(path)) {
        found.set(String(answer.value.id), repositoryOf(answer.value, this.#settings.url));
      }
    }
    const askedAt = Math.min(...asked.map((answer) => answer.askedAt), this.#clock.now());
    return { value: [...found.values()], askedAt, source: asked.map(({ source }) => source).join(", ") };
  }

  async readRepository({ id }: ForgeRepository, ask: Ask): Promise<Answer<ForgeRepository | undefined>> {
    const answer = await this.#http.get(`/projects/${numberOf(id)}`, Project, ask);
    const { askedAt, source } = answer;
    if (answer.status === "absent" || !(await this.#isConnected(answer.value, ask))) {
      return { value: undefined, askedAt, source };
    }
    return { value: repositoryOf(answer.value, this.#settings.url), askedAt, source };
  }

  async listCollaborators(
    { id, isPrivate }: ForgeRepository,
    ask: Ask,
  ): Promise<Answer<readonly Collaborator[] | undefined>> {
    const answer = await this.#http.list(`/projects/${numberOf(id)}/members/all?${PAGE}`, Member, ask);
    const { askedAt, source } = answer;
    if (answer.status === "absent") return { value: undefined, askedAt, source };
    for (const member of answer.value) this.#learn(member);
    return { value: collaboratorsOf(answer.value, isPrivate, this.#clock.now()), askedAt, source };
  }

  async readRole({ id, isPrivate }: ForgeRepository, account: AccountName, ask: Ask): Promise<Answer<ForgeRole>> {
    const path = `/projects/${numberOf(id)}/members/all/${numberOf(account.id)}`;
    const answer = await this.#http.get(path, Member, ask);
    const { askedAt, source } = answer;
    if (answer.status === "absent") return { value: "none", askedAt, source };
    checkId(answer.value.id, account.id, source);
    this.#learn(answer.value);
    return { value: roleOf(answer.value, isPrivate, this.#clock.now()), askedAt, source };
  }

  async readAccount(accountId: string, ask: Ask): Promise<Answer<ForgeAccount | undefined>> {
    const answer = await this.#http.get(`/users/${numberOf(accountId)}`, User, ask);
    const { askedAt, source } = answer;
    if (answer.status === "absent") return { value: undefined, askedAt, source };
    checkId(answer.value.id, accountId, source);
    this.#learn(answer.value);
    return { value: accountOf(answer.value, this.#settings.url), askedAt, source };
  }

  async listKeys({ id }: AccountName, ask: Ask): Promise<Answer<readonly string[] | undefined>> {
    const answer = await this.#http.list(`/users/${numberOf(id)}/keys?${PAGE}`, SshKey, ask);
    const { askedAt, source } = answer;
    if (answer.status === "absent") return { value: undefined, askedAt, source };
    return { value: keysOf(answer.value, this.#clock.now()), askedAt, source };
  }

  /** Lists what is in a group and its subgroups, or what a user has. Without what is only shared with them. */
  async #listProjectsOf(organization: string, ask: Ask) {
    const order = `${PAGE}&order_by=id&sort=asc`;
    const ofGroup = `${pathOf`/groups/${organization}/projects`}?include_subgroups=true&with_shared=false&${order}`;
    const group = await this.#http.list(ofGroup, Project, ask);
    if (group.status === "ok") return group;
    const user = organization.includes("/")
      ? group
      : await this.#http.list(`${pathOf`/users/${organization}/projects`}?${order}`, Project, ask);
    if (user.status === "ok") return user;
    // Not an empty list: GitLab hides groups from tokens that may not see them.
    throw new Fault(
      "forge.refused",
      `Cannot list the repositories of "${organization}": GitLab shows the token neither a group nor a user of this name`,
    );
  }

  /** One that was connected by its path is so while that path leads to it: it was renamed, and nobody took the path. */
  async #isConnected({ id, path_with_namespace: path }: Project, ask: Ask): Promise<boolean> {
    if (isConnected(path, this.#settings)) return true;
    for (const entry of entriesBeside(path, this.#settings)) {
      const answer = await this.#http.get(pathOf`/projects/${entry}`, Project, ask);
      if (answer.status === "ok" && answer.value.id === id) return true;
    }
    return false;
  }

  #learn({ id, username }: { readonly id: number; readonly username: string }): void {
    this.#ids.set(username.toLowerCase(), String(id));
  }
}

/** Ids are put into paths: what is no number would lead elsewhere. */
function numberOf(id: string): string {
  if (!/^\d{1,19}$/.test(id)) throw new Error(`Cannot ask GitLab for "${id}": it is not a number`);
  return id;
}

function checkId(answered: number, asked: string, source: string): void {
  if (String(answered) === asked) return;
  throw new Fault("forge.unreached", `Cannot use the answer to ${source}: it is about the number ${answered}`);
}
