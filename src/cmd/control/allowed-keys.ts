/**
 * Says what a stock OpenSSH server is to let in as one of its Unix users: the keys of everybody who may use the
 * repository that the user stands for, as lines of an authorized_keys file.
 *
 * Called by `access-book.ts`.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";
import { meantBy } from "../../base/nearest.ts";
import type { Decision } from "../../forge/access/access.ts";
import { type AllowedKey, authorizedKeysLines } from "../../policy/authorized-keys-lines.ts";
import { mayOpenEnvironment } from "../../policy/grants.ts";
import type { AuthorizedKeysAnswer } from "../../wire/control.ts";
import { type ForgeRef, idOfRef } from "../../wire/forge.ts";
import type { Person } from "../../wire/person.ts";
import type { Repository } from "../../wire/repository.ts";
import { type AccessBookOptions, keysOf, nameOf, need } from "./access-book-options.ts";
import { findRepository } from "./find-named.ts";

/** Polls that a key is taken for beyond what is known: until the next look, which may be late. */
const SPARE_POLLS = 3;

/** Lists the keys for a Unix user. @throws {Fault} `access.unknown` when the settings have no such user or repository */
export async function allowedKeysOf(
  user: string,
  options: AccessBookOptions,
  signal: AbortSignal,
): Promise<AuthorizedKeysAnswer> {
  const { authorizedKeys, name } = findUser(user, options);
  const repository = findRepository(name, options);
  const people = await allowedPeople(repository, options, signal);
  const own = await options.readKeys();
  const allowed = people.flatMap((person) => keysOfPerson({ person, repository, own }, options));
  const keys = allowed.map(({ key }) => key).toSorted((one, other) => (one.key < other.key ? -1 : 1));
  const line = { ...authorizedKeys, user, repository: nameOf(repository) };
  const verifiedAt = Math.min(...allowed.map(({ decision }) => decision?.verifiedAt ?? Infinity));
  const expiresAt = Math.min(...keys.map((key) => key.expiresAt ?? Infinity));
  return {
    user,
    repository: nameOf(repository),
    ...(Number.isFinite(verifiedAt) ? { verifiedAt: new Date(verifiedAt).toISOString() } : {}),
    isStale: allowed.some(({ decision }) => decision?.isStale === true),
    keys: keys.map(({ person, login, type, key }) => ({ person, login, type, key })),
    lines: authorizedKeysLines(
      keys.map(({ expiresAt: _, ...key }) => key),
      line,
    ),
    fileLines: authorizedKeysLines(keys, line),
    ...(Number.isFinite(expiresAt) ? { expiresAt: new Date(expiresAt).toISOString() } : {}),
  };
}

function findUser(user: string, { settings }: AccessBookOptions) {
  const { authorizedKeys } = settings;
  const found = authorizedKeys?.users.find((one) => one.user === user);
  if (authorizedKeys !== undefined && found !== undefined) return { authorizedKeys, name: found.repository };
  const meant = meantBy(user, authorizedKeys?.users.map((one) => one.user) ?? []);
  const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
  const told = `no user ${JSON.stringify(user)} is under authorizedKeys in the settings${hint}`;
  throw new Fault("access.unknown", `Cannot list keys: ${told}`, { told });
}

/** Everybody whose keys are to be looked at; what forges say of them and their keys has been asked for. */
async function allowedPeople(
  repository: Repository,
  options: AccessBookOptions,
  signal: AbortSignal,
): Promise<Person[]> {
  const { access, directory, settings } = options;
  if (repository.forge !== undefined) {
    const { accounts } = await need(access).listAllowed(repository.forge, signal);
    return accounts.flatMap((account) => directory.find(idOfRef(account)) ?? []);
  }
  const granted = settings.people.filter((person) => mayOpenEnvironment(person, repository.name, settings.grants));
  const people = granted.flatMap(({ id }) => directory.find(id) ?? []);
  await Promise.all(
    people.map(async ({ account }) => {
      const [key = ""] = account === undefined ? [] : (access?.account(account)?.keys ?? []);
      if (account !== undefined) await access?.decide({ account, key }, signal);
    }),
  );
  return people;
}

interface Judged {
  readonly key: AllowedKey;
  /** Absent where the settings alone say so. */
  readonly decision: (Decision & { readonly allowed: true }) | undefined;
}

function keysOfPerson(
  { person, repository, own }: { person: Person; repository: Repository; own: ReadonlyMap<string, string> },
  options: AccessBookOptions,
): Judged[] {
  const { account } = person;
  return keysOf(person, own, options).flatMap(({ key, isVouchedFor }): Judged[] => {
    const allowed = { person: person.id, login: person.name, type: typeOf(key), key };
    if (repository.forge === undefined && isVouchedFor) return [{ key: allowed, decision: undefined }];
    if (account === undefined) return [];
    const decision = need(options.access).judge({
      account,
      ...(isVouchedFor ? {} : { key }),
      ...(repository.forge === undefined ? {} : { repository: repository.forge }),
    });
    if (!decision.allowed) return [];
    return [{ key: { ...allowed, expiresAt: expiryOf(decision, account, options) }, decision }];
  });
}

/** Until when a key may be taken by somebody who cannot ask us: as long as the answer holds, and until we look again. */
function expiryOf(
  decision: Judged["decision"] & {},
  { forge }: ForgeRef,
  { settings, clock }: AccessBookOptions,
): number {
  const { graceMs = 0, pollMs = 0 } = settings.forges.find(({ name }) => name === forge) ?? {};
  return Math.max(decision.verifiedAt + graceMs, clock.now()) + SPARE_POLLS * pollMs;
}

/** The first string of the wire form: RFC 4253 section 6.6. */
function typeOf(key: string): string {
  const blob = Buffer.from(key, "base64");
  return blob.toString("latin1", 4, 4 + (blob.length < 4 ? 0 : blob.readUInt32BE(0)));
}
