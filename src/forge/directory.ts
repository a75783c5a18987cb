/**
 * Who is served and what they may use: the people, keys and grants of the settings file, and what the forges say beside
 * them. The only place that knows both.
 *
 * Opened by `src/cmd`; asked by the gateway for the person of a key and for the watch over live sessions, and by the
 * controller for what somebody may use. What the settings say comes from memory; what a forge says does while it was
 * verified lately (`access/`).
 *
 * @module
 */
import { repositoriesOf } from "../policy/grants.ts";
import type { Login } from "../policy/login.ts";
import { type AccountFacts, idOfRef, type RepositoryFacts } from "../wire/forge.ts";
import type { Person, Who } from "../wire/person.ts";
import type { Repository } from "../wire/repository.ts";
import type { Settings } from "../wire/settings.ts";
import type { Access, Decision, Subject } from "./access/access.ts";
import { personOf, personOfAccount, readRef, repositoryOfFacts } from "./from-facts.ts";
import { knownRoles, type KnownUse } from "./known-roles.ts";
import { readKeys } from "./settings-keys.ts";

/** Whose key it is. One that two have is nobody's. */
export type Whose = { readonly type: "person"; readonly person: Person } | { readonly type: "shared" };

/** When a forge that cannot be asked now last said yes. */
export interface AsOf {
  readonly forge: string;
  /** Epoch ms. */
  readonly at: number;
}

/** Whether somebody may use a repository. */
export type Use =
  | { readonly allowed: true; readonly asOf?: AsOf }
  | {
      readonly allowed: false;
      /** Nobody said no: the forge could not be asked for too long. */
      readonly isUnverified: boolean;
      /** They have a role there that is too little, or in what is not there any more: no secret to them. */
      readonly hasRole?: boolean;
      /** One sentence for the person, without full stop. */
      readonly told: string;
    };

/** The repositories that somebody's login may mean. */
export interface Usable {
  readonly repositories: readonly (Repository & { readonly asOf?: AsOf })[];
  /**
   * Why some that are named are not among them, where the forge could not be asked, or told of a role that is too little or of
   * no use; sentences for the person. Of what they have no role in nothing is said.
   */
  readonly told: readonly string[];
}

/** What a live session rests on; without a repository it is one of the lobby. */
export interface Held {
  readonly who: Who;
  readonly repository?: string;
}

/** What is known of somebody, and since when; for themselves. Times are epoch ms. */
export interface Known {
  readonly person: Person;
  /** `settings`, or the name of the forge that lists their key. */
  readonly keyFrom: string;
  readonly account?: {
    readonly forge: string;
    readonly login: string;
    readonly state: AccountFacts["state"];
    /** `undefined`: the forge told no more than its name. */
    readonly stateVerifiedAt: number | undefined;
    readonly keysVerifiedAt: number | undefined;
  };
  readonly repositories: readonly KnownUse[];
}

export interface Directory {
  /** Finds whose a public key is: wire form (RFC 4253 section 6.6) in base64. */
  whose(key: string): Whose | undefined;
  /** By id. */
  find(id: string): Person | undefined;
  /** What is known of somebody who proved a key. */
  known(who: Who): Known | undefined;
  /** By id: one of the settings, or one that a forge knows or knew. */
  repository(id: string): Repository | undefined;
  /** By what settings call it: the name, or `owner/name` of one that a forge has. */
  repositoryNamed(name: string): Repository | undefined;
  /** Whether forges may know more keys than we do. */
  readonly canDiscover: boolean;
  /** Looks whether a key of nobody is a new collaborator's of a repository that a login names; `whose` knows it then. */
  discover(key: string, login: Login, signal: AbortSignal): Promise<void>;
  /**
   * Lists what somebody may use of what a login may mean, all of the settings' among it, having asked the forges.
   *
   * @param waitMs how long the forges may take at most, for somebody who has waited already. @default 2_000
   */
  usable(who: Who, login: PlaceLogin, signal: AbortSignal, waitMs?: number): Promise<Usable>;
  /** Says whether somebody may use a repository, or without one the lobby, having asked the forge. */
  mayUse(who: Who, repository: string | undefined, signal: AbortSignal): Promise<Use>;
  /** Says whether somebody, by whatever key, may push to a repository of a forge now: by its last good answer they may not. */
  mayPush(person: string, repository: string, signal: AbortSignal): Promise<Use>;
  /**
   * Calls back once, as soon as somebody may not push to a repository of a forge any more. Until then that is asked again
   * and again, as for a live session.
   *
   * @returns a function that stops it
   */
  watchPush(person: string, repository: string, onLost: () => void): () => void;
  /** Says the same as `mayUse` from memory: whether a session may go on. */
  judge(who: Who, repository?: string): Use;
  /**
   * Calls back once, as soon as `judge` refuses a live session. Whoever admits subscribes first and then decides, so that
   * nothing falls between the two.
   *
   * @returns a function that stops it
   */
  watch(session: Held, onRevoked: (told: string) => void): () => void;
  /**
   * Reads the key files again, and calls back those whose key is no longer there. Until it resolves, and when it rejects,
   * the keys read before hold.
   *
   * @throws {Fault} `settings.invalid` as `openDirectory` does
   */
  reload(): Promise<void>;
}

/** A login that says where to go: not the lobby. */
export type PlaceLogin = Exclude<Login, { type: "lobby" }>;

export interface DirectoryOptions {
  readonly settings: Pick<Settings, "people" | "repositories" | "grants" | "forges">;
  /** What the paths of key files are relative to: the folder of the settings file. */
  readonly folder: string;
  /** What forges say; absent when none is connected. */
  readonly access?: Access;
  /** Says whether a forge, by name, makes tokens for pushing. @default none does */
  readonly makesTokens?: (forge: string) => boolean;
}

/** Repositories of one name that a login is looked up in; more are as good as unknown (guess). */
const NAMED_MAX = 20;

/**
 * Reads the key files and makes the directory.
 *
 * @throws {Fault} `settings.invalid` with every complaint about every key file, each with its line
 */
export async function openDirectory(options: DirectoryOptions): Promise<Directory> {
  const directory = new Both(options);
  await directory.reload();
  return directory;
}

/** What is asked of a forge, or what the settings can say by themselves. */
type Question = Subject | Use;

/** The settings and the forges together. */
class Both implements Directory {
  readonly canDiscover: boolean;
  readonly #options: DirectoryOptions;
  readonly #access: Access | undefined;
  /** Of the settings, by name. */
  readonly #people: ReadonlyMap<string, Person>;
  /** The same by the id of their account. */
  readonly #linked: ReadonlyMap<string, Person>;
  /** Of the settings, by name. */
  readonly #repositories: ReadonlyMap<string, Repository>;
  /** Repositories of the settings by the name of a person. */
  readonly #granted: ReadonlyMap<string, readonly Repository[]>;
  readonly #forgeUrls: ReadonlyMap<string, string>;
  readonly #watches = new Set<() => void>();
  /** Names of people of the settings, by key. */
  #keys: ReadonlyMap<string, string> = new Map();

  constructor(options: DirectoryOptions) {
    const { people, repositories, grants, forges } = options.settings;
    this.#options = options;
    this.#access = options.access;
    this.canDiscover = options.access !== undefined;
    this.#people = new Map(people.map((person) => [person.name, personOf(person)]));
    const all = [...this.#people.values()];
    this.#linked = new Map(all.flatMap((one) => (one.account ? [[idOfRef(one.account), one]] : [])));
    this.#repositories = new Map(repositories.map((one) => [one.name, { ...one, id: one.name }]));
    const listed = [...this.#repositories.values()];
    this.#granted = new Map(all.map((person) => [person.name, repositoriesOf(person, grants, listed)]));
    this.#forgeUrls = new Map(forges.map(({ name, url }) => [name, url]));
  }

  whose(key: string): Whose | undefined {
    const named = this.#people.get(this.#keys.get(key) ?? "");
    const owner = this.#access?.ownerOf(key);
    if (owner?.type === "shared") return { type: "shared" };
    const held = owner === undefined ? undefined : this.#ofAccount(owner.account);
    if (named !== undefined && held !== undefined && named.id !== held.id) return { type: "shared" };
    const person = named ?? held;
    return person === undefined ? undefined : { type: "person", person };
  }

  find(id: string): Person | undefined {
    const ref = this.#people.has(id) ? undefined : readRef(id);
    const account = ref === undefined ? undefined : this.#access?.account(ref);
    return account === undefined ? this.#people.get(id) : this.#ofAccount(account);
  }

  known({ person: id, key }: Who): Known | undefined {
    const person = this.find(id);
    if (person === undefined) return undefined;
    const account = person.account === undefined ? undefined : this.#access?.account(person.account);
    const granted = (this.#granted.get(id) ?? []).map(({ name }) => ({ name }));
    if (account === undefined) return { person, keyFrom: "settings", repositories: granted };
    const { forge, login, state, keysVerifiedAt } = account;
    const keyFrom = this.#keys.has(key) ? "settings" : forge;
    // 0 is for accounts of which a list told no more than the name.
    const stateVerifiedAt = account.stateVerifiedAt === 0 ? undefined : account.stateVerifiedAt;
    const repositories = [...granted, ...(this.#access === undefined ? [] : knownRoles(this.#access, account))];
    return { person, keyFrom, account: { forge, login, state, stateVerifiedAt, keysVerifiedAt }, repositories };
  }

  repository(id: string): Repository | undefined {
    const ref = this.#repositories.has(id) ? undefined : readRef(id);
    const facts = ref === undefined ? undefined : this.#access?.repository(ref);
    return facts === undefined ? this.#repositories.get(id) : this.#ofForge(facts);
  }

  repositoryNamed(name: string): Repository | undefined {
    const own = this.#repositories.get(name);
    if (own !== undefined) return own;
    const known = [...(this.#access?.repositories() ?? [])];
    const facts = known.find((one) => name === `${one.owner}/${one.name}` || name === one.name);
    return facts === undefined ? undefined : this.#ofForge(facts);
  }

  async discover(key: string, login: Login, signal: AbortSignal): Promise<void> {
    if (this.#access === undefined || login.type === "lobby") return;
    await this.#access.discover(key, namedBy(this.#access, login), signal);
  }

  async usable(who: Who, login: PlaceLogin, signal: AbortSignal, waitMs?: number): Promise<Usable> {
    const own = this.#granted.get(who.person) ?? [];
    if (this.#access === undefined) return { repositories: own, told: [] };
    const named = namedBy(this.#access, login).slice(0, NAMED_MAX);
    const asked = await Promise.all(
      named.map(async (facts) => ({ facts, use: await this.#decide(who, idOfRef(facts), { signal, waitMs }) })),
    );
    const usable = asked.flatMap(({ facts, use }) =>
      use.allowed ? [{ ...this.#ofForge(facts), ...asOfOf(use) }] : [],
    );
    const told = asked.flatMap(({ use }) =>
      !use.allowed && (use.isUnverified || use.hasRole === true) ? [use.told] : [],
    );
    return { repositories: [...own, ...usable], told: [...new Set(told)] };
  }

  async mayUse(who: Who, repository: string | undefined, signal: AbortSignal): Promise<Use> {
    return this.#decide(who, repository, { signal, waitMs: undefined });
  }

  async #decide(
    who: Who,
    repository: string | undefined,
    { signal, waitMs }: { readonly signal: AbortSignal; readonly waitMs: number | undefined },
  ): Promise<Use> {
    const question = this.#questionOf(who, repository);
    if ("allowed" in question || this.#access === undefined) return this.#judge(question);
    return useOf(await this.#access.decide(question, signal, waitMs), question.account.forge);
  }

  async mayPush(person: string, repository: string, signal: AbortSignal): Promise<Use> {
    const account = this.find(person)?.account;
    const ref = this.#repositories.has(repository) ? undefined : readRef(repository);
    if (this.#access === undefined || account === undefined || ref === undefined) return NO_FORGE;
    return pushOf(await this.#access.decide({ account, repository: ref }, signal), account.forge);
  }

  watchPush(person: string, repository: string, onLost: () => void): () => void {
    const account = this.find(person)?.account;
    const ref = this.#repositories.has(repository) ? undefined : readRef(repository);
    const access = this.#access;
    if (access === undefined || account === undefined || ref === undefined) return () => undefined;
    const subject = { account, repository: ref };
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      stop();
      onLost();
    };
    const look = (): void => {
      const use = pushOf(access.judge(subject), account.forge);
      if (!use.allowed && !use.isUnverified) end();
    };
    const unwatch = access.watch(subject, end);
    // Where those who may read get in, the watch tells nothing of somebody who may only read now.
    const unlisten = access.onChanged(look);
    const stop = (): void => {
      isOver = true;
      unwatch();
      unlisten();
    };
    queueMicrotask(look);
    return stop;
  }

  judge(who: Who, repository?: string): Use {
    return this.#judge(this.#questionOf(who, repository));
  }

  watch({ who, repository }: Held, onRevoked: (told: string) => void): () => void {
    let isOver = false;
    const end = (told: string): void => {
      if (isOver) return;
      stop();
      onRevoked(told);
    };
    const look = (): void => {
      const use = this.judge(who, repository);
      if (!use.allowed) end(use.told);
    };
    const question = this.#questionOf(who, repository);
    const unwatch = "allowed" in question ? undefined : this.#access?.watch(question, end);
    this.#watches.add(look);
    const stop = (): void => {
      isOver = true;
      this.#watches.delete(look);
      unwatch?.();
    };
    return stop;
  }

  async reload(): Promise<void> {
    this.#keys = await readKeys(this.#options.settings.people, this.#options.folder);
    for (const look of [...this.#watches]) look();
  }

  #ofAccount(account: AccountFacts): Person {
    return this.#linked.get(idOfRef(account)) ?? personOfAccount(account);
  }

  #ofForge(facts: RepositoryFacts): Repository {
    const { makesTokens = () => false } = this.#options;
    const url = this.#forgeUrls.get(facts.forge) ?? "";
    return repositoryOfFacts(facts, { url, makesTokens: makesTokens(facts.forge) });
  }

  #questionOf({ person, key }: Who, repository?: string): Question {
    if (this.whose(key)?.type === "shared") return refuse("this key belongs to more than one account");
    const isVouchedFor = this.#keys.has(key);
    const account = this.find(person)?.account;
    if (isVouchedFor ? this.#keys.get(key) !== person : account === undefined) return WITHDRAWN;
    const question = account === undefined ? ALLOWED : { account, ...(isVouchedFor ? {} : { key }) };
    if (repository === undefined) return isVouchedFor ? ALLOWED : question;
    if (this.#repositories.has(repository)) {
      const isGranted = this.#granted.get(person)?.some(({ id }) => id === repository) === true;
      if (!isGranted) return refuse(`you have no grant for ${repository}`);
      return isVouchedFor ? ALLOWED : question;
    }
    const ref = readRef(repository);
    if (ref === undefined || "allowed" in question) return refuse(`you may not use ${repository}`);
    return { ...question, repository: ref };
  }

  #judge(question: Question): Use {
    if ("allowed" in question) return question;
    return this.#access === undefined ? WITHDRAWN : useOf(this.#access.judge(question), question.account.forge);
  }
}

const ALLOWED: Use = { allowed: true };
const NO_FORGE: Use = refuse("no forge says that you may push to it");
const WITHDRAWN: Use = refuse("the key of this session was withdrawn");

function refuse(told: string): Use {
  return { allowed: false, isUnverified: false, told };
}

function useOf(decision: Decision, forge: string): Use {
  if (!decision.allowed) {
    const { type, told, hasRole } = decision;
    return { allowed: false, isUnverified: type === "unverified", told, ...(hasRole ? { hasRole } : {}) };
  }
  return decision.isStale ? { allowed: true, asOf: { forge, at: decision.verifiedAt } } : ALLOWED;
}

function pushOf(decision: Decision, forge: string): Use {
  if (!decision.allowed) return useOf(decision, forge);
  if (decision.role !== "write" && decision.role !== "admin") return refuse("you may read it and not push to it");
  // Entering goes on for the grace time, but a token would be a new right, and one that outlives it.
  if (decision.isStale) return { allowed: false, isUnverified: true, told: `${forge} cannot be asked whether you may` };
  return ALLOWED;
}

function asOfOf(use: Use & { allowed: true }) {
  return use.asOf === undefined ? {} : { asOf: use.asOf };
}

function namedBy(access: Access, login: PlaceLogin): RepositoryFacts[] {
  if (login.type === "hyphenated") return access.named(login.text, { prefix: true });
  const owner = login.owner?.toLowerCase();
  return access.named(login.repository).filter((one) => owner === undefined || one.owner.toLowerCase() === owner);
}
