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
import { authorizedKeysLines } from "../../policy/authorized-keys-lines.ts";
import { mayOpenEnvironment } from "../../policy/grants.ts";
import type { AuthorizedKeysAnswer } from "../../wire/control.ts";
import { type ForgeRef, idOfRef } from "../../wire/forge.ts";
import type { Person } from "../../wire/person.ts";
import type { Repository } from "../../wire/repository.ts";
import { type AccessBookOptions, keysOf, nameOf, need } from "./access-book-options.ts";
import { findRepository } from "./find-named.ts";

/** Polls that a key is taken for beyond what is known: until the next look, which may be late. */
const SPARE_POLLS = 3;

/** One key, and since when it is known to be let in; the settings say that of some, at any time. */
interface Allowed {
  readonly person: Person;
  readonly key: string;
  readonly known?: { readonly forge: string; readonly verifiedAt: number; readonly isStale: boolean };
}

/**
 * Lists the keys for a Unix user, verified now.
 *
 * @throws {Fault} `access.unknown` when there is no such user or repository; `forge.unreached` when nobody can say, even
 * by the last good answer
 */
export async function allowedKeysOf(
  user: string,
  options: AccessBookOptions,
  signal: AbortSignal,
): Promise<AuthorizedKeysAnswer> {
  const { authorizedKeys, name } = findUser(user, options);
  // A bare name is one of the settings, whatever a forge has by that name: settings-forge-links.ts sees to it.
  const repository = options.directory.repository(name) ?? findRepository(name, options);
  const own = await options.readKeys();
  const list = repository.forge === undefined ? grantedKeys : forgeKeys;
  const allowed = (await list(repository, { ...options, own }, signal)).toSorted((one, other) =>
    one.key < other.key ? -1 : 1,
  );
  const keys = allowed.map(({ person, key }) => ({ person: person.id, login: person.name, type: typeOf(key), key }));
  const expiries = allowed.map((one) => expiryOf(one, options));
  const line = { ...authorizedKeys, user, repository: nameOf(repository) };
  return {
    user,
    repository: line.repository,
    ...timeIn("verifiedAt", Math.min(...allowed.map(({ known }) => known?.verifiedAt ?? Infinity))),
    isStale: allowed.some(({ known }) => known?.isStale === true),
    keys,
    lines: authorizedKeysLines(keys, line),
    fileLines: authorizedKeysLines(
      keys.map((key, at) => ({ ...key, ...expiries[at] })),
      line,
    ),
    ...timeIn("expiresAt", Math.min(...expiries.map(({ expiresAt = Infinity }) => expiresAt))),
  };
}

function timeIn<Name extends string>(name: Name, at: number): Partial<Record<Name, string>> {
  const times: Partial<Record<string, string>> = Number.isFinite(at) ? { [name]: new Date(at).toISOString() } : {};
  return times;
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

interface WithOwn extends AccessBookOptions {
  readonly own: ReadonlyMap<string, string>;
}

/** The keys of everybody whom the forge gives a role in its repository. */
async function forgeKeys({ forge: ref }: Repository, options: WithOwn, signal: AbortSignal): Promise<Allowed[]> {
  if (ref === undefined) return [];
  const { accounts, ...list } = await need(options.access).listAllowed(ref, signal);
  return accounts.flatMap((account) => {
    const person = options.directory.find(idOfRef(account));
    if (person === undefined) return [];
    const { vouchedFor, listed } = keysOf(person, options.own, options);
    const known = { forge: ref.forge, verifiedAt: list.verifiedAt, isStale: list.isStale };
    const keysVerifiedAt = Math.min(list.verifiedAt, account.keysVerifiedAt ?? 0);
    return [
      ...vouchedFor.map((key) => ({ person, key, known })),
      ...listed
        .filter((key) => account.keys.includes(key))
        .map((key) => ({ person, key, known: { ...known, verifiedAt: keysVerifiedAt } })),
    ];
  });
}

/** The keys of everybody to whom the settings grant one of their repositories. */
async function grantedKeys({ name }: Repository, options: WithOwn, signal: AbortSignal): Promise<Allowed[]> {
  const { settings, directory, own } = options;
  const people = settings.people.flatMap(({ id }) => directory.find(id) ?? []);
  const granted = people.filter(({ id }) => mayOpenEnvironment({ name: id }, name, settings.grants));
  const allowed = granted.map(async (person): Promise<Allowed[]> => {
    const { account } = person;
    const known = account === undefined ? [] : await listedKeys(person, account, { ...options, signal });
    return [...keysOf(person, own, options).vouchedFor.map((key) => ({ person, key })), ...known];
  });
  return (await Promise.all(allowed)).flat();
}

/** Those that somebody's forge lists, while their account is in order. */
async function listedKeys(
  person: Person,
  account: ForgeRef,
  options: WithOwn & { readonly signal: AbortSignal },
): Promise<Allowed[]> {
  const access = need(options.access);
  const [first = ""] = access.account(account)?.keys ?? [];
  await access.decide({ account, key: first }, options.signal); // has all that is old asked for
  return keysOf(person, options.own, options).listed.flatMap((key) => {
    const decision = access.judge({ account, key });
    if (!decision.allowed) return [];
    return [{ person, key, known: { ...decision, forge: account.forge } }];
  });
}

/** Until when a key may be taken by somebody who cannot ask us: as long as the answer holds, and until we look again. */
function expiryOf({ known }: Allowed, { settings, clock }: AccessBookOptions): { readonly expiresAt?: number } {
  if (known === undefined) return {};
  const { graceMs = 0, pollMs = 0 } = settings.forges.find(({ name }) => name === known.forge) ?? {};
  return { expiresAt: Math.max(known.verifiedAt + graceMs, clock.now()) + SPARE_POLLS * pollMs };
}

/** The first string of the wire form: RFC 4253 section 6.6. */
function typeOf(key: string): string {
  const blob = Buffer.from(key, "base64");
  return blob.toString("latin1", 4, 4 + (blob.length < 4 ? 0 : blob.readUInt32BE(0)));
}
