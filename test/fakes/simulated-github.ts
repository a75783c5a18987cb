/**
 * GitHub as far as it counts requests: 5,000 an hour, where an answer that is as it was costs nothing, to the token that
 * asked for it before. Behind our own rationing, as the real client is; the world is large and computed, not kept.
 *
 * What each question costs is what `forge/github/` sends for it: one request a page, one more to prove a name the first
 * time. Rules: GitHub, "Rate limits for the REST API" and "Best practices" (conditional requests); ETags differ by token
 * (github/docs issue 34689).
 *
 * @module
 */
import type { Clock } from "../../src/base/clock.ts";
import { Fault } from "../../src/base/fault.ts";
import type { AccountName, Answer, Ask, Budget, ForgeClient } from "../../src/forge/forge-client.ts";
import { Rationing } from "../../src/forge/http/rationing.ts";
import type { Collaborator, ForgeAccount, ForgeRepository, ForgeRole } from "../../src/wire/forge.ts";
import { makeKeyLine } from "./fake-forge-client.ts";

export interface SimulatedOptions {
  readonly clock: Clock;
  readonly repositoryCount: number;
  readonly personCount: number;
  readonly collaboratorCount: number;
  /** How long a token lives, after which every ETag is another; `Infinity` for a personal token. */
  readonly tokenMs: number;
  /** Share of answers that are other than an hour ago. */
  readonly changedAnHour: number;
  /** The same of the pages of the list of repositories, in which every push shows. */
  readonly pagesChangedAnHour: number;
}

const HOUR_MS = 3_600_000;
const LIMIT = 5_000;
const LATENCY_MS = 120;
const PAGE = 100;
/** As `forge/http/sender.ts` has them. */
const RATIONING = { concurrentMax: 10, pointsPerSecond: 12, burstPoints: 100 };

export interface HourCount {
  /** Requests, and those that cost. */
  sent: number;
  charged: number;
  /** Least that was left of the budget. */
  remainingMin: number;
  readonly byPriority: Record<Ask["priority"], number>;
}

export class SimulatedGithub implements ForgeClient {
  readonly type = "github";
  readonly hours: HourCount[] = [];
  readonly #options: SimulatedOptions;
  readonly #rationing: Rationing;
  readonly #beganAt: number;
  /** Version that was seen last, by token and address. */
  readonly #etags = new Map<string, string>();
  readonly #proven = new Set<string>();

  constructor(options: SimulatedOptions) {
    this.#options = options;
    this.#rationing = new Rationing(RATIONING, options.clock);
    this.#beganAt = options.clock.now();
  }

  get budget(): Budget | undefined {
    return this.#rationing.budget;
  }

  /** As after running for long: everything was seen, with the first token. */
  remember(): void {
    const { repositoryCount, personCount } = this.#options;
    const pages = Math.ceil(repositoryCount / PAGE);
    for (let page = 0; page < pages; page += 1) this.#see(`/repos?page=${page}`, this.#options.pagesChangedAnHour);
    for (let id = 0; id < repositoryCount; id += 1) {
      this.#see(`/repos/${id}/collaborators`);
      this.#see(`/repos/${id}`);
    }
    for (let id = 0; id < personCount; id += 1) {
      this.#see(`/users/${id}/keys`);
      this.#see(`/user/${id}`);
      this.#proven.add(String(id));
    }
  }

  repository(id: number): ForgeRepository {
    const name = `repository-${id}`;
    const cloneUrl = `https://hub.test/acme/${name}.git`;
    return { id: String(id), owner: "acme", name, cloneUrl, isPrivate: true, isArchived: false };
  }

  /** Who has a role in a repository: spread evenly, the same at every run. */
  collaborators(id: number): Collaborator[] {
    const { personCount, collaboratorCount } = this.#options;
    return Array.from({ length: collaboratorCount }, (_, index) => {
      const person = (id * 7 + index * 167) % personCount;
      return { id: String(person), login: `person-${person}`, role: "write" };
    });
  }

  async listRepositories(ask: Ask): Promise<Answer<readonly ForgeRepository[]>> {
    const { clock, repositoryCount, pagesChangedAnHour } = this.#options;
    const askedAt = clock.now();
    // A list of which a page was new is read again, until a reading brings nothing new.
    for (let isNew = true; isNew;) {
      isNew = false;
      for (let page = 0; page * PAGE < repositoryCount; page += 1) {
        if (await this.#request(`/repos?page=${page}`, ask, pagesChangedAnHour)) isNew = true;
      }
    }
    const value = Array.from({ length: repositoryCount }, (_, id) => this.repository(id));
    return { value, askedAt, source: "GET /orgs/acme/repos" };
  }

  readRepository(repository: ForgeRepository, ask: Ask): Promise<Answer<ForgeRepository | undefined>> {
    return this.#answer(`/repos/${repository.id}`, ask, repository);
  }

  listCollaborators({ id }: ForgeRepository, ask: Ask): Promise<Answer<readonly Collaborator[] | undefined>> {
    return this.#answer(`/repos/${id}/collaborators`, ask, this.collaborators(Number(id)));
  }

  readRole({ id }: ForgeRepository, account: AccountName, ask: Ask): Promise<Answer<ForgeRole>> {
    const found = this.collaborators(Number(id)).find((one) => one.id === account.id);
    return this.#answer(`/repos/${id}/collaborators/${account.login}/permission`, ask, found?.role ?? "none");
  }

  readAccount(id: string, ask: Ask): Promise<Answer<ForgeAccount | undefined>> {
    const login = `person-${id}`;
    return this.#answer(`/user/${id}`, ask, { id, login, fullName: login, email: "", isSuspended: false });
  }

  async listKeys({ id }: AccountName, ask: Ask): Promise<Answer<readonly string[] | undefined>> {
    const answer = await this.#answer(`/users/${id}/keys`, ask, [makeKeyLine(Number(id))]);
    if (!this.#proven.has(id)) await this.#request(`/user/${id}`, ask);
    this.#proven.add(id);
    return answer;
  }

  fetchCredential(): Promise<never> {
    return Promise.reject(new Error("Cannot make a credential: nobody fetches here"));
  }

  async pushCredential(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async inspect(): Promise<never[]> {
    return Promise.resolve([]);
  }

  readWebhook(): ReturnType<ForgeClient["readWebhook"]> {
    return { type: "unsigned" };
  }

  async #answer<Value>(url: string, ask: Ask, value: Value): Promise<Answer<Value>> {
    const askedAt = this.#options.clock.now();
    await this.#request(url, ask);
    return { value, askedAt, source: `GET ${url}` };
  }

  /** @returns whether the answer was new */
  async #request(url: string, ask: Ask, changedAnHour = this.#options.changedAnHour): Promise<boolean> {
    const { clock } = this.#options;
    const release = await this.#rationing.turn({ ...ask, lane: "", points: 1, source: url });
    try {
      const isNew = this.#see(url, changedAnHour);
      const hour = this.#hour();
      hour.sent += 1;
      hour.byPriority[ask.priority] += 1;
      if (isNew && hour.charged >= LIMIT) {
        throw new Fault("forge.limited", "Cannot answer: the budget of this hour is spent");
      }
      if (isNew) hour.charged += 1;
      const remaining = LIMIT - hour.charged;
      hour.remainingMin = Math.min(hour.remainingMin, remaining);
      await clock.sleep(LATENCY_MS, ask.signal);
      const resetMs = HOUR_MS - ((clock.now() - this.#beganAt) % HOUR_MS);
      this.#rationing.learn("", { limit: LIMIT, remaining, resetMs });
      return isNew;
    } finally {
      release();
    }
  }

  /** Remembers that an address was seen as it is now. @returns whether it was not, by this token */
  #see(url: string, changedAnHour = this.#options.changedAnHour): boolean {
    const { clock, tokenMs } = this.#options;
    const elapsedMs = clock.now() - this.#beganAt;
    // Each address changes at its own time, every 1/share hours.
    const version = Math.floor((elapsedMs / HOUR_MS) * changedAnHour + spread(url));
    const etag = `${Math.floor(elapsedMs / tokenMs)} ${version}`;
    if (this.#etags.get(url) === etag) return false;
    this.#etags.set(url, etag);
    return true;
  }

  #hour(): HourCount {
    const index = Math.floor((this.#options.clock.now() - this.#beganAt) / HOUR_MS);
    return (this.hours[index] ??= {
      ...{ sent: 0, charged: 0, remainingMin: LIMIT },
      byPriority: { login: 0, live: 0, background: 0 },
    });
  }
}

/** A number from 0 to below 1 that looks random, the same for the same text. */
function spread(text: string): number {
  let hash = 2_166_136_261;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 16_777_619);
  return (hash >>> 0) / 2 ** 32;
}
