/**
 * Answers an operator who asks who may use what and why: what `slip access` and `slip authorized-keys` print. Looks at
 * the grants of the settings and at what forges say, by the same rules as a login.
 *
 * Made by `service.ts`; `open-control.ts` hands it the questions, `keep-authorized-keys.ts` asks it for its files.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import type { Decision } from "../../forge/access/access.ts";
import { mayOpenEnvironment } from "../../policy/grants.ts";
import { fingerprintOf } from "../../base/fingerprint.ts";
import type { AccessExplanation } from "../../wire/control.ts";
import type { Person } from "../../wire/person.ts";
import type { Repository } from "../../wire/repository.ts";
import type { PersonSettings } from "../../wire/settings.ts";
import { type AccessBookOptions, nameOf, need } from "./access-book-options.ts";
import { allowedKeysOf } from "./allowed-keys.ts";
import { findPerson, findRepository } from "./find-named.ts";
import { listAccess } from "./list-access.ts";
import type { ControlHandlers } from "./open-control.ts";

export type AccessBook = Pick<ControlHandlers, "/access/explain" | "/access/list" | "/authorized-keys">;

/** Makes what answers. */
export function makeAccessBook(given: AccessBookOptions): AccessBook {
  const options = { ...given, readKeys: lastGood(given.readKeys) };
  return {
    "/access/explain": async (asked, signal) => {
      const person = findPerson(asked.person, options);
      const repository = findRepository(asked.repository, options);
      return explain({ person, repository }, options, signal);
    },
    "/access/list": (asked, signal) => listAccess(asked, options, signal),
    "/authorized-keys": ({ user }, signal) => allowedKeysOf(user, options, signal),
  };
}

/** While a key file cannot be read, the keys read before hold, as they do in the directory. */
function lastGood(readKeys: AccessBookOptions["readKeys"]): AccessBookOptions["readKeys"] {
  let last: ReadonlyMap<string, string> | undefined;
  return async () => {
    try {
      last = await readKeys();
    } catch (error) {
      if (last === undefined || !(error instanceof Fault)) throw error;
    }
    return last;
  };
}

interface Pair {
  readonly person: Person;
  readonly repository: Repository;
}

async function explain(
  { person, repository }: Pair,
  options: AccessBookOptions,
  signal: AbortSignal,
): Promise<AccessExplanation> {
  const head = {
    person: { id: person.id, login: person.name },
    repository: { id: repository.id, name: nameOf(repository) },
    notes: await notesOn(person, options),
  };
  if (repository.forge === undefined)
    return { ...head, ...(await explainGrant({ person, repository }, options, signal)) };
  const account = person.account;
  if (account?.forge !== repository.forge.forge) {
    const told = `${person.name} has no account at ${repository.forge.forge}`;
    return { ...head, allowed: false, route: "forge", isStale: false, sources: [], told };
  }
  const decision = await need(options.access).decide({ account, repository: repository.forge }, signal);
  return { ...head, route: "forge", ...answerOf(decision) };
}

async function explainGrant(
  { person, repository }: Pair,
  { settings, access }: AccessBookOptions,
  signal: AbortSignal,
): Promise<Omit<AccessExplanation, "person" | "repository" | "notes">> {
  const at = settings.grants.findIndex((grant) => mayOpenEnvironment(person, repository.name, [grant]));
  const listed = settings.people.find(({ id }) => id === person.id);
  if (listed === undefined || at === -1) {
    const told = `${person.name} has no grant for ${repository.name}`;
    return { allowed: false, route: "grant", isStale: false, sources: [], told };
  }
  const source = `grants[${at}] of the settings`;
  if (person.account === undefined || hasOwnKeys(listed)) {
    return { allowed: true, route: "grant", isStale: false, sources: [source] };
  }
  // Only the forge says which keys are theirs.
  const answer = answerOf(await need(access).decide({ account: person.account }, signal));
  return { ...answer, route: "grant", sources: [source, ...answer.sources] };
}

function hasOwnKeys({ keys, keysFile }: PersonSettings): boolean {
  return keys.length > 0 || keysFile !== undefined;
}

function answerOf(
  decision: Decision,
): Pick<AccessExplanation, "allowed" | "isStale" | "sources"> & Partial<AccessExplanation> {
  const { allowed, verifiedAt, sources } = decision;
  return {
    allowed,
    ...(verifiedAt === undefined || !Number.isFinite(verifiedAt)
      ? {}
      : { verifiedAt: new Date(verifiedAt).toISOString() }),
    sources: [...sources],
    ...(decision.allowed
      ? { role: decision.role, isStale: decision.isStale }
      : { isStale: decision.type === "unverified", told: decision.told }),
  };
}

/** What keeps some of somebody's keys from working. Both owners of a shared key are named to the operator alone. */
async function notesOn(person: Person, options: AccessBookOptions): Promise<string[]> {
  const { access, directory } = options;
  const account = person.account === undefined ? undefined : access?.account(person.account);
  const own = await options.readKeys();
  const keys = [...(account?.keys ?? []), ...[...own].flatMap(([key, name]) => (name === person.id ? [key] : []))];
  if (keys.length === 0) {
    const isAsked = account === undefined || account.keysVerifiedAt !== undefined;
    return [isAsked ? `${person.name} has no key that gets in` : `the keys of ${person.name} are not known yet`];
  }
  return [...new Set(keys)].flatMap((key) => {
    if (directory.whose(key)?.type !== "shared") return [];
    const owner = access?.ownerOf(key);
    const accounts = owner?.type === "shared" ? owner.accounts : owner === undefined ? [] : [owner.account];
    const names = [
      ...accounts.map((one) => `${one.forge}/${one.login}`),
      ...[own.get(key)].filter((name) => name !== undefined),
    ];
    return [
      `the key ${fingerprintOf(Buffer.from(key, "base64"))} belongs to ${names.join(" and ")}, and so gets nobody in`,
    ];
  });
}
