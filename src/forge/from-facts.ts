/**
 * What the rest of Slipway sees of accounts and repositories at forges: people and repositories like those of the
 * settings.
 *
 * Called by `directory.ts` alone.
 *
 * @module
 */
import { type AccountFacts, type ForgeRef, idOfRef, type RepositoryFacts } from "../wire/forge.ts";
import type { Person } from "../wire/person.ts";
import type { Repository } from "../wire/repository.ts";
import type { PersonSettings } from "../wire/settings.ts";

/** Makes somebody whom only a forge knows. What a forge lets a login be may be more than is safe in paths and logs. */
export function personOfAccount({ forge, id, login, fullName, email }: AccountFacts): Person {
  const own = idOfRef({ forge, id });
  const name = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(login) ? login : own;
  return { id: own, name, fullName, email, admin: false, account: { forge, id } };
}

/** Makes somebody of the settings, without their keys. */
export function personOf({ id, name, fullName, email, admin, account }: PersonSettings): Person {
  return { id, name, fullName, email, admin, ...(account === undefined ? {} : { account }) };
}

/** How a forge is reached and pushed to. */
export interface ForgeFacts {
  /** What people open in a browser. */
  readonly url: string;
  /** Whether it makes tokens for pushing. */
  readonly makesTokens: boolean;
}

/** Makes a repository that a forge knows. */
export function repositoryOfFacts(facts: RepositoryFacts, { url, makesTokens }: ForgeFacts): Repository {
  const { forge, id, owner, name, cloneUrl } = facts;
  const host = URL.parse(url)?.hostname;
  return {
    ...{ id: idOfRef({ forge, id }), name, owner, url: cloneUrl, forge: { forge, id } },
    ...(host === undefined ? {} : { pushUrl: `git@${host}:${owner}/${name}.git` }),
    ...(makesTokens && cloneUrl.startsWith("https://") ? { canPushByToken: true } : {}),
  };
}

/** Reads an id of something at a forge, as in `github.583231`. */
export function readRef(id: string): ForgeRef | undefined {
  const [, forge, number] = /^([a-z][a-z0-9-]*)\.([0-9]+)$/.exec(id) ?? [];
  return forge === undefined || number === undefined ? undefined : { forge, id: number };
}
