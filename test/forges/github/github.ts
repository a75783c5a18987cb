/**
 * A GitHub for tests, as one thing: the world, the server that speaks of it, its webhooks, and the App that Slipway would
 * be there. See `test/forges/README.md`.
 *
 * @module
 */
import { makeClock, type Clock } from "../../../src/base/clock.ts";
import type { ForgeSecrets, ForgeSettings } from "../../../src/wire/forge-settings.ts";
import { Courier } from "../lib/courier.ts";
import { openForgeServer, type ForgeServer } from "../lib/forge-server.ts";
import { fillGitFolder, type Branches } from "../lib/git-folder.ts";
import { Api, type Edition } from "./api.ts";
import { installApp, registerApp, type AppSpec } from "./apps.ts";
import type { App, BasePermission, Installation, Permission } from "./entities.ts";
import { GithubGit } from "./git-desk.ts";
import { Hooks } from "./hooks.ts";
import { RateLimits, type LimitOptions } from "./limits.ts";
import type { Addresses } from "./shapes.ts";
import { Tokens } from "./tokens.ts";
import { World, type PersonSpec, type RepositorySpec } from "./world.ts";

export interface GithubSpec {
  /** @default this machine's */
  readonly clock?: Clock;
  /** @default "cloud" */
  readonly edition?: Edition;
  readonly limits?: LimitOptions;
  /** An organisation to begin with. */
  readonly org?: string;
  /** @default "none" */
  readonly basePermission?: BasePermission;
  /** Repositories of the organisation; private unless they say otherwise. */
  readonly repos?: readonly (string | (RepositorySpec & { readonly name: string }))[];
  readonly people?: readonly (PersonSpec & { readonly role?: PersonRole })[];
  /** Of this machine, at which HTTPS is. @default the loopback */
  readonly address?: string | undefined;
  /** The App that is installed on the organisation; `false`: none. @default with what Slipway needs */
  readonly app?: Omit<AppSpec, "ownerLogin"> | false;
}

/** A permission: of their own, in every repository of the beginning. `member` and `owner`: of the organisation. */
export type PersonRole = Permission | "member" | "owner";

/** What a part of Slipway that is configured needs. */
export interface Configured {
  readonly settings: ForgeSettings;
  readonly secrets: ForgeSecrets;
}

/** What a webhook to Slipway is signed with unless a test says otherwise. */
export const WEBHOOK_SECRET = "a secret between GitHub and Slipway";

export class Github implements AsyncDisposable {
  readonly server: ForgeServer;
  readonly world: World;
  readonly api: Api;
  readonly limits: RateLimits;
  readonly hooks: Hooks;
  readonly courier: Courier;
  readonly git: GithubGit;
  readonly #tokens: Tokens;
  readonly #app: App | undefined;
  readonly #installation: Installation | undefined;

  constructor(parts: GithubParts) {
    this.server = parts.server;
    this.world = parts.world;
    this.api = parts.api;
    this.limits = parts.limits;
    this.hooks = parts.hooks;
    this.courier = parts.courier;
    this.git = parts.git;
    this.#tokens = parts.tokens;
    this.#app = parts.app;
    this.#installation = parts.installation;
  }

  /** Root of the API, as settings want it. */
  get apiUrl(): string {
    return this.server.origin + this.api.prefix;
  }

  /** What people would open, and git clones from, over HTTPS. */
  get url(): string {
    return this.server.httpsOrigin;
  }

  /** For `GIT_SSL_CAINFO`. */
  get caFile(): string {
    return this.server.caFile;
  }

  get app(): App {
    if (this.#app === undefined) throw new Error("Cannot use the App: this GitHub was opened without one");
    return this.#app;
  }

  /** Of the App on the organisation. */
  get installation(): Installation {
    if (this.#installation === undefined) throw new Error("Cannot use the installation: there is none");
    return this.#installation;
  }

  /** Makes a classic token. @param scopes as GitHub names them; `repo` and `read:org` without */
  addToken(login: string, scopes: readonly string[] = ["repo", "read:org"]): string {
    return this.#tokens.addClassic(this.world.user(login).id, scopes);
  }

  /** Makes a fine-grained token for an owner's repositories; for all of them without names. */
  addFineGrainedToken(
    login: string,
    grant: { owner: string; permissions: App["permissions"]; repos?: string[] },
  ): string {
    const ownerId = this.world.findOwner(grant.owner)?.id ?? -1;
    const ids = grant.repos?.map((name) => this.world.repository(`${grant.owner}/${name}`).id);
    const { permissions } = grant;
    const userId = this.world.user(login).id;
    return this.#tokens.addFineGrained({ userId, ownerId, permissions, repositoryIds: ids && new Set(ids) });
  }

  revokeToken(token: string): void {
    this.#tokens.revoke(token);
  }

  /** Sends webhooks of the App to an address from now on; answers come with `courier.deliveries`. */
  hookApp(url: string, secret: string = WEBHOOK_SECRET): void {
    this.hooks.add({ url, secret, of: "app" });
  }

  /** Writes one commit to each branch. */
  async fill(fullName: string, branches: Branches): Promise<void> {
    await fillGitFolder(await this.git.folderOf(this.world.repository(fullName)), branches);
  }

  /** Settings by which Slipway would use this GitHub as its App, or with a token. */
  configured(token?: string, changes: Partial<ForgeSettings> = {}): Configured {
    const source = { env: "FORGE_SECRET" };
    return {
      settings: {
        ...{ name: "github", type: "github", url: this.url, apiUrl: this.apiUrl, webhookSecret: source },
        credential:
          token === undefined
            ? { type: "app", appId: String(this.app.id), privateKey: source }
            : { type: "token", token: source },
        organizations: [...this.world.owners.values()].flatMap(({ type, login }) =>
          type === "Organization" ? login : [],
        ),
        ...{ repositories: [], minimumRole: "write", graceMs: 3_600_000, pollMs: 30_000 },
        ...changes,
      },
      secrets: { credential: token ?? this.app.privateKey, webhook: WEBHOOK_SECRET },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.courier.close();
    await this.server[Symbol.asyncDispose]();
  }
}

interface GithubParts {
  readonly server: ForgeServer;
  readonly world: World;
  readonly api: Api;
  readonly limits: RateLimits;
  readonly hooks: Hooks;
  readonly courier: Courier;
  readonly git: GithubGit;
  readonly tokens: Tokens;
  readonly app: App | undefined;
  readonly installation: Installation | undefined;
}

/** Opens a GitHub with what a test begins with. */
export async function openGithub(spec: GithubSpec = {}): Promise<Github> {
  const clock = spec.clock ?? makeClock();
  const now = (): number => clock.now();
  const tokens = new Tokens();
  const limits = new RateLimits(now, spec.limits);
  const courier = new Courier(clock);
  const violate = (text: string): void => server.violate(text);
  const origins = () => ({ http: server.origin, https: server.httpsOrigin });
  const { edition = "cloud" } = spec;
  const countsSuspended = edition === "enterprise";
  const world: World = new World({ now, countsSuspended, onEvent: (event) => hooks.tell(event, world) });
  const api = new Api({ edition, world, tokens, limits, origins, violate });
  const addresses = (): Addresses => ({ api: server.origin + api.prefix, html: server.httpsOrigin });
  const git: GithubGit = new GithubGit({ world, tokens, folder: () => server.folder });
  const server = await openForgeServer({
    ...{
      address: spec.address,
      clock,
      git,
      templateOf: (request) => api.templateOf(request),
      enter: (request) => api.enter(request),
    },
    ...{ answer: (request, isStale) => api.answer(request, isStale), remember: () => api.remember() },
  });
  const hooks = new Hooks({ courier, description: api.description, appId: () => app?.id, addresses, violate });
  const app = populate(world, spec);
  const installation = app && spec.org !== undefined ? installApp(world, { app, on: spec.org }) : undefined;
  return new Github({ server, world, api, limits, hooks, courier, git, tokens, app, installation });
}

function populate(world: World, { org, basePermission, repos = [], people = [], app }: GithubSpec): App | undefined {
  for (const person of people) world.addUser(person);
  if (org === undefined) return undefined;
  world.addOrganization(org, basePermission);
  for (const repo of repos) {
    if (typeof repo === "string") world.addRepository(`${org}/${repo}`);
    else world.addRepository(`${org}/${repo.name}`, repo);
  }
  for (const { login, role } of people) {
    if (role === "owner") world.setMember(org, login, "admin");
    else if (role === "member") world.setMember(org, login);
    else if (role !== undefined) {
      for (const repository of world.repositoriesOf(world.organization(org).id)) {
        world.setCollaborator(world.fullName(repository), login, role);
      }
    }
  }
  return app === false ? undefined : registerApp(world, { ...app, ownerLogin: org });
}
