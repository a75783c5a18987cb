/**
 * What a store of knowledge must end up with, said in the simplest way: take what was learned in the order in which it
 * was verified, and let each overwrite what came before.
 *
 * @module
 */
import fc from "fast-check";
import type { KnowledgeStore } from "../../src/wire/knowledge.ts";
import type { AccountFacts, ForgeRole, RepositoryFacts, RoleFact } from "../../src/wire/forge.ts";

/** Something that was learned; times differ between any two, and between the two of an account. */
export type Learned =
  | { readonly type: "account"; readonly facts: Omit<AccountFacts, "forge"> }
  | { readonly type: "repository"; readonly facts: Omit<RepositoryFacts, "forge"> }
  | { readonly type: "role"; readonly repositoryId: string; readonly fact: RoleFact }
  | {
      readonly type: "list";
      readonly repositoryId: string;
      readonly verifiedAt: number;
      readonly roles: readonly { readonly accountId: string; readonly role: ForgeRole }[];
    };

/** Everything that is known of one forge. */
export interface Known {
  readonly accounts: readonly AccountFacts[];
  readonly repositories: readonly RepositoryFacts[];
  /** By repository, sorted by account. */
  readonly roles: Readonly<Record<string, readonly RoleFact[]>>;
}

const LIST_SOURCE = "GET /list";
const IDS = ["1", "2", "3", "4"];
const REPOSITORY_IDS = ["1", "2"];

const role = fc.constantFrom<ForgeRole[]>("none", "read", "write", "admin");
const accountId = fc.constantFrom(...IDS);
const repositoryId = fc.constantFrom(...REPOSITORY_IDS);

/** Makes one thing of two times of its own. */
type Draft = (at: number, otherAt: number) => Learned;

const account: fc.Arbitrary<Draft> = fc
  .record({ id: accountId, state: fc.constantFrom("active", "suspended", "gone"), asksKeys: fc.boolean() })
  .map(({ id, state, asksKeys }) => (at, otherAt) => {
    const names = { login: `login${at}`, fullName: `name ${at}`, email: `${at}@example.com` };
    const keys = asksKeys
      ? { keys: [`key${otherAt}`], keysVerifiedAt: otherAt }
      : { keys: [], keysVerifiedAt: undefined };
    return { type: "account", facts: { id, ...names, state, stateVerifiedAt: at, ...keys } };
  });

const repository: fc.Arbitrary<Draft> = fc
  .record({ id: repositoryId, state: fc.constantFrom("connected", "archived", "gone"), isPrivate: fc.boolean() })
  .map(({ id, state, isPrivate }) => (at) => {
    const names = { owner: "acme", name: `name${at}`, cloneUrl: `https://forge.example/${at}.git` };
    return {
      type: "repository",
      facts: { id, ...names, isPrivate, state, stateVerifiedAt: at, rolesVerifiedAt: undefined },
    };
  });

const single: fc.Arbitrary<Draft> = fc
  .record({ repositoryId, accountId, role })
  .map(({ repositoryId, ...rest }) => (verifiedAt) => {
    return { type: "role", repositoryId, fact: { ...rest, verifiedAt, source: `GET /${verifiedAt}` } };
  });

const list: fc.Arbitrary<Draft> = fc
  .record({
    repositoryId,
    roles: fc.uniqueArray(fc.record({ accountId, role }), { selector: ({ accountId }) => accountId }),
  })
  .map((drawn) => (verifiedAt) => ({ type: "list", ...drawn, verifiedAt }));

const COUNT_MAX = 14;

/** Things that were learned, in an order that is not that of their times. */
export const learnings: fc.Arbitrary<readonly Learned[]> = fc
  .record({
    drafts: fc.array(fc.oneof(account, repository, single, single, list, list), { maxLength: COUNT_MAX }),
    times: fc.shuffledSubarray(
      Array.from({ length: 2 * COUNT_MAX }, (_, index) => 1_000 + index),
      { minLength: 2 * COUNT_MAX },
    ),
  })
  .map(({ drafts, times }) =>
    drafts.map((draft, index) => draft(times[2 * index] ?? Number.NaN, times[2 * index + 1] ?? Number.NaN)),
  );

/** Saves one. */
export async function save(knowledge: KnowledgeStore, forge: string, learned: Learned): Promise<void> {
  switch (learned.type) {
    case "account":
      return knowledge.saveAccount({ forge, ...learned.facts });
    case "repository":
      return knowledge.saveRepository({ forge, ...learned.facts });
    case "role":
      return knowledge.saveRole({ forge, id: learned.repositoryId }, learned.fact);
    case "list":
      return knowledge.saveRoles({ forge, id: learned.repositoryId }, { ...learned, source: LIST_SOURCE });
    default:
      return learned satisfies never;
  }
}

/** Reads everything that a store knows of a forge. */
export async function readKnown(knowledge: KnowledgeStore, forge: string): Promise<Known> {
  const roles: Record<string, RoleFact[]> = {};
  for (const id of REPOSITORY_IDS) roles[id] = [...(await knowledge.findRoles({ forge, id }))].sort(byAccount);
  const accounts = await Promise.all(IDS.map((id) => knowledge.findAccount({ forge, id })));
  const repositories = await Promise.all(REPOSITORY_IDS.map((id) => knowledge.findRepository({ forge, id })));
  return {
    accounts: accounts.filter((found) => found !== undefined),
    repositories: repositories.filter((found) => found !== undefined),
    roles,
  };
}

/** Says what is known of a forge once all of this was learned. */
export function expectKnown(forge: string, learned: readonly Learned[]): Known {
  const roles = Object.fromEntries(REPOSITORY_IDS.map((id) => [id, rolesOf(id, learned)]));
  const listedAt = (id: string): number | undefined =>
    lastOf(learned.filter((one) => one.type === "list" && one.repositoryId === id).map(timeOf));
  return {
    accounts: IDS.flatMap((id) => accountOf(forge, id, learned)),
    repositories: REPOSITORY_IDS.flatMap((id) => {
      const told = learned.flatMap((one) => (one.type === "repository" && one.facts.id === id ? [one.facts] : []));
      const [latest] = told.sort((one, other) => other.stateVerifiedAt - one.stateVerifiedAt);
      return latest === undefined ? [] : [{ forge, ...latest, rolesVerifiedAt: listedAt(id) }];
    }),
    roles,
  };
}

function accountOf(forge: string, id: string, learned: readonly Learned[]): AccountFacts[] {
  const told = learned.flatMap((one) => (one.type === "account" && one.facts.id === id ? [one.facts] : []));
  const [latest] = told.sort((one, other) => other.stateVerifiedAt - one.stateVerifiedAt);
  if (latest === undefined) return [];
  const withKeys = told.filter(({ keysVerifiedAt }) => keysVerifiedAt !== undefined);
  const [keyed] = withKeys.sort((one, other) => (other.keysVerifiedAt ?? 0) - (one.keysVerifiedAt ?? 0));
  const { keys, keysVerifiedAt } = keyed ?? { keys: [], keysVerifiedAt: undefined };
  return [{ forge, ...latest, keys, keysVerifiedAt }];
}

function rolesOf(repositoryId: string, learned: readonly Learned[]): RoleFact[] {
  const roles = new Map<string, RoleFact>();
  for (const one of [...learned].sort((one, other) => timeOf(one) - timeOf(other))) {
    if (one.type === "role" && one.repositoryId === repositoryId) roles.set(one.fact.accountId, one.fact);
    if (one.type !== "list" || one.repositoryId !== repositoryId) continue;
    roles.clear();
    for (const entry of one.roles)
      roles.set(entry.accountId, { ...entry, verifiedAt: one.verifiedAt, source: LIST_SOURCE });
  }
  return [...roles.values()].sort(byAccount);
}

function timeOf(learned: Learned): number {
  if (learned.type === "list") return learned.verifiedAt;
  return learned.type === "role" ? learned.fact.verifiedAt : learned.facts.stateVerifiedAt;
}

function lastOf(times: readonly number[]): number | undefined {
  return times.length === 0 ? undefined : Math.max(...times);
}

function byAccount(one: RoleFact, other: RoleFact): number {
  return Number(one.accountId) - Number(other.accountId);
}
