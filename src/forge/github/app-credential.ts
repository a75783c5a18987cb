/**
 * A GitHub App: one token for each account that installed it, each with a budget of its own.
 *
 * @module
 */
import type { KeyObject } from "node:crypto";
import { Fault } from "../../base/fault.ts";
import type { ForgeRepository } from "../../wire/forge.ts";
import type { Ask, Finding, GitCredential } from "../forge-client.ts";
import type { AnswerCache } from "../../wire/knowledge.ts";
import { type ForgeHttp, type ForgeHttpOptions, type HttpAnswer, openForgeHttp } from "../http/forge-http.ts";
import type { Authorization, HttpAsk } from "../http/sender.ts";
import { signAppToken } from "./app-key.ts";
import { type Credential, isSameName, type Way } from "./credential.ts";
import { inspectApp } from "./inspect-app.ts";
import { type HeldToken, Installations } from "./installations.ts";
import { type Installation, InstallationRepositories, type Repository } from "./shapes.ts";

export interface AppOptions {
  readonly appId: string;
  readonly key: KeyObject;
  readonly takesWebhooks: boolean;
  /** All but the authorization, which is the App's. */
  readonly http: Omit<ForgeHttpOptions, "authorize">;
}

/** Answers to the App itself are few, and their ETags change with each JWT. */
const NO_CACHE: AnswerCache = { read: async () => undefined, write: async () => {} };

export function makeAppCredential({ appId, key, takesWebhooks, http: options }: AppOptions): Credential {
  const { clock } = options;
  const appHttp = openForgeHttp({
    ...options,
    cache: NO_CACHE,
    authorize: () => ({ authorization: `Bearer ${signAppToken(appId, key, clock.now())}` }),
  });
  const installations = new Installations(appHttp, clock);
  const http = openForgeHttp({
    ...options,
    authorize: async ({ lane, signal }, refused): Promise<Authorization> => {
      if (lane === undefined) throw new Error("Cannot authorize a request: it names no installation");
      const spent = refused?.["authorization"]?.slice("Bearer ".length);
      const { token } = await installations.token(Number(lane), { refused: spent, signal });
      return { authorization: `Bearer ${token}` };
    },
  });
  const revoke = (token: string, signal: AbortSignal): Promise<void> => revokeToken(options, token, signal);
  return new AppCredential({ http, appHttp, installations, takesWebhooks, revoke });
}

interface Parts {
  /** Asks with the token of the installation that a lane names. */
  readonly http: ForgeHttp;
  /** Asks as the App itself. */
  readonly appHttp: ForgeHttp;
  readonly installations: Installations;
  readonly takesWebhooks: boolean;
  readonly revoke: (token: string, signal: AbortSignal) => Promise<void>;
}

class AppCredential implements Credential {
  readonly http: ForgeHttp;
  readonly #parts: Parts;
  readonly #installations: Installations;

  constructor(parts: Parts) {
    this.http = parts.http;
    this.#parts = parts;
    this.#installations = parts.installations;
  }

  async wayTo(owner: string, ask: Ask): Promise<Way> {
    const { found, askedAt, source } = await this.#installations.find(owner, ask);
    if (found === undefined) return { status: "absent", askedAt, source };
    return { status: "ok", ask: laneOf(usable(found), ask) };
  }

  /** Always the same installation for an account: the ETags of its answers are those of one token. */
  async wayToAccount(accountId: string, ask: Ask): Promise<HttpAsk> {
    const { installations } = await this.#installations.list(60_000, ask);
    const active = installations.filter((installation) => !isSuspended(installation));
    const installation = active[Number(accountId) % active.length];
    if (installation !== undefined) return laneOf(installation, ask);
    throw new Fault("forge.refused", "Cannot ask for an account: the GitHub App needs to be installed, is nowhere");
  }

  async listOf(owner: string, ask: Ask): Promise<HttpAnswer<readonly Repository[]>> {
    const way = await this.wayTo(owner, ask);
    if (way.status === "absent") return { ...way, url: "" };
    const envelope = {
      schema: InstallationRepositories,
      itemsOf: ({ repositories }: { readonly repositories: readonly Repository[] }) => repositories,
    };
    const list = await this.http.listIn("/installation/repositories?per_page=100", envelope, way.ask);
    if (list.status === "absent") return list;
    return { ...list, value: list.value.filter((repository) => isSameName(repository.owner.login, owner)) };
  }

  async gitCredential(owner: string, signal: AbortSignal): Promise<GitCredential> {
    const { id } = await this.#installedOn(owner, signal);
    return forGit(await this.#installations.token(id, { refused: undefined, signal }));
  }

  async pushCredential({ owner, id }: ForgeRepository, signal: AbortSignal): Promise<GitCredential> {
    const installation = await this.#installedOn(owner, signal);
    if (installation.permissions["contents"] !== "write") {
      const lacks = "needs Repository permissions → Contents: write, which it was not given";
      throw new Fault("forge.refused", `Cannot make a token for pushing: the GitHub App on ${owner} ${lacks}`);
    }
    const limits = { repository_ids: [Number(id)], permissions: { contents: "write" } };
    const made = await this.#installations.makeToken(installation.id, limits, { priority: "login", signal });
    return { ...forGit(made), revoke: (until) => this.#parts.revoke(made.token, until) };
  }

  async inspect(signal: AbortSignal): Promise<readonly Finding[]> {
    const installations = await this.#installations.list(0, { priority: "login", signal });
    const { appHttp: http, takesWebhooks } = this.#parts;
    return await inspectApp({ http, installations, takesWebhooks }, signal);
  }

  forget(): void {
    this.#installations.forget();
  }

  get forgottenCount(): number {
    return this.#installations.forgottenCount;
  }

  async #installedOn(owner: string, signal: AbortSignal): Promise<Installation> {
    const { found } = await this.#installations.find(owner, { priority: "login", signal });
    if (found !== undefined) return usable(found);
    throw new Fault("forge.refused", `Cannot get a token for ${owner}: the GitHub App is not installed there`);
  }
}

/** A token is ended by whoever has it: docs.github.com/en/rest/apps/installations, "Revoke an installation access token". */
async function revokeToken(options: AppOptions["http"], token: string, signal: AbortSignal): Promise<void> {
  const authorize = (): Authorization => ({ authorization: `Bearer ${token}` });
  try {
    const http = openForgeHttp({ ...options, cache: NO_CACHE, authorize });
    await http.delete("/installation/token", { priority: "login", signal });
  } catch (error) {
    // One that is refused opens nothing any more, which is what was wanted.
    if (!(error instanceof Fault) || error.code !== "forge.refused") throw error;
  }
}

function laneOf({ id }: Installation, ask: Ask): HttpAsk {
  return { ...ask, lane: String(id) };
}

/** A suspension is somebody's decision for a while, and no word about repositories: what is known holds as long as it may. */
function usable(installation: Installation): Installation {
  if (!isSuspended(installation)) return installation;
  const owner = installation.account?.login ?? "an enterprise";
  throw new Fault("forge.refused", `Cannot ask about ${owner}: the GitHub App is suspended there`);
}

function isSuspended({ suspended_at: at }: Installation): boolean {
  return at !== undefined && at !== null;
}

function forGit({ token, expiresAt }: HeldToken): GitCredential {
  return { username: "x-access-token", password: token, expiresAt };
}
