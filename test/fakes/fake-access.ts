/**
 * What forges say, as a table: for tests of those who ask `Access`.
 *
 * @module
 */
import type { Access, Decision, Subject } from "../../src/forge/access/access.ts";
import { type AccountFacts, type ForgeRef, idOfRef, type RepositoryFacts } from "../../src/wire/forge.ts";

export interface FakeAccess extends Access {
  /** What is said of `<account id> <repository id>`, and of `<account id>` for the lobby; what is not here is a no. */
  readonly says: Map<string, Decision>;
  /** Subjects that were decided on with the forge asked. */
  readonly asked: Subject[];
  /** Tells whoever listens that something changed. */
  change(): void;
  /** Takes every right away from whoever is watched. */
  revoke(told: string): void;
}

export const YES: Decision & { allowed: true } = {
  allowed: true,
  role: "write",
  verifiedAt: 0,
  sources: [],
  isStale: false,
};

export function no(told: string, type: "no" | "unverified" = "no"): Decision {
  return { allowed: false, type, told, hasRole: false, verifiedAt: undefined, sources: [] };
}

export interface FakeAccessOptions {
  readonly accounts: readonly AccountFacts[];
  readonly repositories: readonly RepositoryFacts[];
}

/** An account of `github` with keys. */
export function accountOf(id: string, login: string, keys: readonly string[] = []): AccountFacts {
  return {
    ...{ forge: "github", id, login, fullName: `Full ${login}`, email: `${login}@example.com` },
    ...{ state: "active", stateVerifiedAt: 0, keys, keysVerifiedAt: 0 },
  };
}

/** A repository of `github`. */
export function repositoryOf(id: string, owner: string, name: string): RepositoryFacts {
  return {
    ...{ forge: "github", id, owner, name, cloneUrl: `https://github.example/${owner}/${name}.git`, isPrivate: true },
    ...{ state: "connected", stateVerifiedAt: 0, rolesVerifiedAt: 0 },
  };
}

export function makeFakeAccess({ accounts, repositories }: FakeAccessOptions): FakeAccess {
  const says = new Map<string, Decision>();
  const asked: Subject[] = [];
  const watchers = new Set<(told: string) => void>();
  const listeners = new Set<() => void>();
  const judge = ({ account, repository }: Subject): Decision =>
    says.get(repository === undefined ? account.id : `${account.id} ${repository.id}`) ?? no("you are no collaborator");
  const isOne = (facts: ForgeRef, ref: ForgeRef): boolean => idOfRef(facts) === idOfRef(ref);
  return {
    says,
    asked,
    revoke: (told) => {
      for (const tell of [...watchers]) tell(told);
    },
    change: () => {
      for (const listener of [...listeners]) listener();
    },
    ownerOf: (key) => {
      const [first, ...others] = accounts.filter(({ keys }) => keys.includes(key));
      if (first === undefined) return undefined;
      return others.length === 0
        ? { type: "account", account: first }
        : { type: "shared", accounts: [first, ...others] };
    },
    account: (ref) => accounts.find((facts) => isOne(facts, ref)),
    accounts: () => accounts,
    repository: (ref) => repositories.find((facts) => isOne(facts, ref)),
    repositories: () => repositories,
    named: (name, options) =>
      repositories.filter((facts) =>
        options?.prefix === true
          ? name.toLowerCase().startsWith(`${facts.name.toLowerCase()}-`)
          : facts.name.toLowerCase() === name.toLowerCase(),
      ),
    discover: async () => undefined,
    decide: async (subject) => {
      asked.push(subject);
      return judge(subject);
    },
    judge,
    watch: (_subject, onRevoked) => {
      watchers.add(onRevoked);
      return () => watchers.delete(onRevoked);
    },
    hint: async () => undefined,
    listAllowed: async () => ({ verifiedAt: 0, isStale: false, accounts: [] }),
    onChanged: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    health: () => [],
    close: async () => undefined,
  };
}
