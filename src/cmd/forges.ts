/**
 * The forges of the settings put together: a client for each, and what they say about who may use what.
 *
 * Called by `service.ts`.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Access } from "../forge/access/access.ts";
import { openAccess } from "../forge/access/open-access.ts";
import type { ForgeClient, GitCredential } from "../forge/forge-client.ts";
import { makeForgeClient } from "../forge/make-client.ts";
import type { MirrorSource } from "../forge/mirrors.ts";
import type { Store } from "../store/store.ts";
import type { ForgeRepository, RepositoryFacts } from "../wire/forge.ts";
import type { Repository } from "../wire/repository.ts";
import type { Settings } from "../wire/settings.ts";
import type { Secrets } from "./secrets.ts";

export interface Forges extends AsyncDisposable {
  readonly access: Access;
  /** By name. */
  readonly clients: ReadonlyMap<string, ForgeClient>;
  /** Where the mirror of a repository is fetched from, and by what right. */
  mirrorSourceOf(repository: Repository): MirrorSource | undefined;
  /** A token that can push to this repository and do nothing else; `undefined` where its forge makes none. */
  pushCredential(repository: Repository, signal: AbortSignal): Promise<GitCredential | undefined>;
}

export interface ForgesOptions {
  readonly settings: Pick<Settings, "forges">;
  readonly secrets: Pick<Secrets, "forges">;
  readonly store: Pick<Store, "knowledge" | "answersOf">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Opens what the settings connect. Asks nobody yet. */
export async function openForges({ settings, secrets, store, clock, log }: ForgesOptions): Promise<Forges> {
  const forges = settings.forges.map((forge) => {
    const secret = secrets.forges.get(forge.name);
    if (secret === undefined) throw new Error(`Cannot open the forge ${forge.name}: its secrets were not read`);
    const cache = store.answersOf(forge.name);
    return { settings: forge, client: makeForgeClient({ settings: forge, secrets: secret, clock, log, cache }) };
  });
  const clients = new Map(forges.map(({ settings: { name }, client }) => [name, client]));
  const access = await openAccess({ forges, store: store.knowledge, clock, log, holder: randomUUID() });
  /** The repository as its forge takes it, and whom to ask. */
  const at = ({ forge }: Repository) => {
    const facts = forge === undefined ? undefined : access.repository(forge);
    const client = forge === undefined ? undefined : clients.get(forge.forge);
    return facts === undefined || client === undefined ? undefined : { client, repository: repositoryOf(facts) };
  };
  return {
    access,
    clients,
    mirrorSourceOf: (repository) => {
      const known = at(repository);
      if (known === undefined) return undefined;
      return { url: repository.url, credential: (signal) => known.client.fetchCredential(known.repository, signal) };
    },
    pushCredential: async (repository, signal) => {
      const known = at(repository);
      return known?.client.pushCredential(known.repository, signal);
    },
    [Symbol.asyncDispose]: () => access.close(),
  };
}

/** As the client takes it. */
function repositoryOf({ id, owner, name, cloneUrl, isPrivate, state }: RepositoryFacts): ForgeRepository {
  return { id, owner, name, cloneUrl, isPrivate, isArchived: state === "archived" };
}
