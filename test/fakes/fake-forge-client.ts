/**
 * A forge in memory: a world that a test changes, and a client that answers from it after a while, or fails.
 *
 * @module
 */
import type { Clock } from "../../src/base/clock.ts";
import { Fault, type FaultCode } from "../../src/base/fault.ts";
import type { Answer, Ask, Budget, ForgeClient } from "../../src/forge/forge-client.ts";
import type { ForgeSettings } from "../../src/wire/forge-settings.ts";
import type { Collaborator, ForgeRepository, ForgeRole } from "../../src/wire/forge.ts";

interface WorldAccount {
  readonly id: string;
  login: string;
  keys: string[];
  isSuspended: boolean;
}

interface WorldRepository {
  readonly id: string;
  owner: string;
  name: string;
  isArchived: boolean;
  isConnected: boolean;
  readonly roles: Map<string, ForgeRole>;
}

/** The methods that ask. */
export type Question =
  "listRepositories" | "readRepository" | "listCollaborators" | "readRole" | "readAccount" | "listKeys";

export interface Asked {
  readonly question: Question;
  readonly about: string;
  readonly priority: Ask["priority"];
  readonly at: number;
}

/** Settings of a forge in tests. */
export function makeForgeSettings(changed: Partial<ForgeSettings> = {}): ForgeSettings {
  return {
    name: "hub",
    type: "github",
    url: "https://hub.test",
    apiUrl: "https://api.hub.test",
    credential: { type: "token", token: { env: "HUB_TOKEN" } },
    organizations: ["acme"],
    repositories: [],
    minimumRole: "write",
    graceMs: 3_600_000,
    pollMs: 30_000,
    ...changed,
  };
}

/** Makes the line of a public key that is well-formed, and nobody's. @param number from 0 to 2^32 - 1 */
export function makeKeyLine(number: number): string {
  return `ssh-ed25519 ${makeKey(number)} key-${number}`;
}

/** The same key in wire form, base64. */
export function makeKey(number: number): string {
  const type = Buffer.from("ssh-ed25519");
  const blob = Buffer.alloc(4 + type.length + 4 + 32);
  blob.writeUInt32BE(type.length, 0);
  type.copy(blob, 4);
  blob.writeUInt32BE(32, 4 + type.length);
  blob.writeUInt32BE(number, 8 + type.length);
  return blob.toString("base64");
}

export class FakeForgeClient implements ForgeClient {
  readonly type = "github";
  readonly accounts = new Map<string, WorldAccount>();
  readonly repositories = new Map<string, WorldRepository>();
  readonly asked: Asked[] = [];
  /** How long an answer takes. */
  delayMs: number | ((question: Question) => number) = 0;
  /** Whether an answer says how things were when it was asked for, or when it is given. */
  readsAt: "beginning" | "end" = "beginning";
  /** As GitLab does. */
  listsKeysOfSuspended = false;
  /** What fails instead of answering, after the delay. */
  failure: FaultCode | ((question: Question) => FaultCode | undefined) | undefined;
  budget: Budget | undefined;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  addAccount(id: string, login: string, keyNumbers: readonly number[] = []): this {
    this.accounts.set(id, { id, login, keys: keyNumbers.map(makeKeyLine), isSuspended: false });
    return this;
  }

  addRepository(id: string, name: string, roles: Readonly<Record<string, ForgeRole>> = {}): this {
    const world = {
      id,
      owner: "acme",
      name,
      isArchived: false,
      isConnected: true,
      roles: new Map(Object.entries(roles)),
    };
    this.repositories.set(id, world);
    return this;
  }

  account(id: string): WorldAccount {
    return found(this.accounts.get(id));
  }

  repository(id: string): WorldRepository {
    return found(this.repositories.get(id));
  }

  countOf(question: Question): number {
    return this.asked.filter((asked) => asked.question === question).length;
  }

  listRepositories(ask: Ask): Promise<Answer<readonly ForgeRepository[]>> {
    return this.#answer({ question: "listRepositories", about: "", path: "/orgs/acme/repos" }, ask, () =>
      [...this.repositories.values()].filter(({ isConnected }) => isConnected).map(forgeRepositoryOf),
    );
  }

  readRepository({ id }: ForgeRepository, ask: Ask): Promise<Answer<ForgeRepository | undefined>> {
    return this.#answer({ question: "readRepository", about: id, path: `/repositories/${id}` }, ask, () => {
      const world = this.repositories.get(id);
      return world?.isConnected === true ? forgeRepositoryOf(world) : undefined;
    });
  }

  listCollaborators({ id }: ForgeRepository, ask: Ask): Promise<Answer<readonly Collaborator[] | undefined>> {
    const asked = { question: "listCollaborators", about: id, path: `/repositories/${id}/collaborators` } as const;
    return this.#answer(asked, ask, () => {
      const roles = this.repositories.get(id)?.roles;
      return roles && [...roles].map(([account, role]) => ({ id: account, login: this.account(account).login, role }));
    });
  }

  readRole({ id }: ForgeRepository, account: { id: string }, ask: Ask): Promise<Answer<ForgeRole>> {
    const about = `${id} ${account.id}`;
    const asked = { question: "readRole", about, path: `/repositories/${id}/collaborators/${account.id}` } as const;
    return this.#answer(asked, ask, () => this.repositories.get(id)?.roles.get(account.id) ?? "none");
  }

  readAccount(id: string, ask: Ask): ReturnType<ForgeClient["readAccount"]> {
    return this.#answer({ question: "readAccount", about: id, path: `/user/${id}` }, ask, () => {
      const world = this.accounts.get(id);
      if (world === undefined) return undefined;
      const { login, isSuspended } = world;
      return { id, login, fullName: login, email: `${login}@hub.test`, isSuspended };
    });
  }

  listKeys({ id }: { id: string }, ask: Ask): Promise<Answer<readonly string[] | undefined>> {
    return this.#answer({ question: "listKeys", about: id, path: `/user/${id}/keys` }, ask, () => {
      const world = this.accounts.get(id);
      const isShown = world?.isSuspended !== true || this.listsKeysOfSuspended;
      return world === undefined || !isShown ? undefined : [...world.keys];
    });
  }

  fetchCredential(): Promise<never> {
    return Promise.reject(new Error("Cannot make a credential: this forge has none"));
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

  async #answer<Value>(
    { question, about, path }: { readonly question: Question; readonly about: string; readonly path: string },
    { priority, signal }: Ask,
    read: () => Value,
  ): Promise<Answer<Value>> {
    const askedAt = this.#clock.now();
    this.asked.push({ question, about, priority, at: askedAt });
    const early = read();
    const failure = typeof this.failure === "function" ? this.failure(question) : this.failure;
    const { readsAt } = this;
    const delayMs = typeof this.delayMs === "function" ? this.delayMs(question) : this.delayMs;
    try {
      if (delayMs > 0) await this.#clock.sleep(delayMs, signal);
    } catch (cause) {
      throw new Fault("forge.unreached", `Cannot wait for "${path}": given up`, { cause });
    }
    if (failure !== undefined) throw new Fault(failure, `Cannot ask for "${path}": the test says so`);
    return { value: readsAt === "beginning" ? early : read(), askedAt, source: `GET ${path}` };
  }
}

function forgeRepositoryOf({ id, owner, name, isArchived }: WorldRepository): ForgeRepository {
  return { id, owner, name, cloneUrl: `https://hub.test/${owner}/${name}.git`, isPrivate: true, isArchived };
}

function found<Thing>(thing: Thing | undefined): Thing {
  if (thing === undefined) throw new Error("Cannot find it: no such thing is in this world");
  return thing;
}
