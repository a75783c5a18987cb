/**
 * Measures access in a process of its own, for `rows/access.ts`: run with `--expose-gc`, an empty folder as its argument.
 * Prints the figures as one line of JSON.
 *
 * @module
 */
import { join } from "node:path";
import { makeClock } from "../../src/base/clock.ts";
import { Fault } from "../../src/base/fault.ts";
import { makeLog } from "../../src/base/log.ts";
import type { Access, Subject } from "../../src/forge/access/access.ts";
import { openAccess } from "../../src/forge/access/open-access.ts";
import type { ForgeClient } from "../../src/forge/forge-client.ts";
import { makeGithub } from "../../src/forge/github/github.ts";
import type { KnowledgeStore, RolesOf } from "../../src/wire/knowledge.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import type { AccountFacts, RepositoryFacts, RoleFact } from "../../src/wire/forge.ts";
import { makeForgeSettings, makeKey, makeKeyLine } from "../../test/fakes/fake-forge-client.ts";
import { openGithub } from "../../test/forges/github/github.ts";

export interface AccessFigures {
  readonly warmUs: readonly number[];
  readonly coldMs: readonly number[];
  /** With 30 collaborators each, from SQLite. */
  readonly sparse: Loaded;
  /** With everybody a collaborator of everything. */
  readonly dense: Loaded;
}

export interface Loaded {
  readonly loadMs: number;
  readonly bytes: number;
}

const REPOSITORIES = 10_000;
const PEOPLE = 5_000;
const COLLABORATORS = 30;
const KEYS = 2;
const WARM_COUNT = 50_000;
const COLD_COUNT = 60;

const clock = makeClock();
const log = makeLog("silent");
const never = new AbortController().signal;
const BEGAN_AT = clock.now();
/** So long that nothing of a warm decision grows old meanwhile. */
const settings = makeForgeSettings({ pollMs: 3_600_000 });

function accountOf(id: number): AccountFacts {
  const keys = Array.from({ length: KEYS }, (_, index) => makeKey(id * KEYS + index));
  const named = { login: `person-${id}`, fullName: `Person ${id}`, email: `person-${id}@hub.test` };
  const verified = { stateVerifiedAt: BEGAN_AT, keys, keysVerifiedAt: BEGAN_AT };
  return { forge: "hub", id: String(id), ...named, state: "active", ...verified };
}

function repositoryOf(id: number): RepositoryFacts {
  const name = `repository-${id}`;
  const named = { owner: "acme", name, cloneUrl: `https://hub.test/acme/${name}.git`, isPrivate: true };
  return {
    forge: "hub",
    id: String(id),
    ...named,
    state: "connected",
    stateVerifiedAt: BEGAN_AT,
    rolesVerifiedAt: BEGAN_AT,
  };
}

function rolesOf(repository: number, count: number): RoleFact[] {
  return Array.from({ length: count }, (_, index) => ({
    accountId: String((repository * 7 + index) % PEOPLE),
    role: "write",
    verifiedAt: BEGAN_AT,
    source: `GET /repos/acme/repository-${repository}/collaborators`,
  }));
}

/** Nobody answers: what is known is all there is. */
function makeSilentClient(): ForgeClient {
  const silent = (): Promise<never> => Promise.reject(new Fault("forge.unreached", "Cannot ask: nobody is there"));
  return {
    ...{
      type: "github",
      listRepositories: silent,
      readRepository: silent,
      listCollaborators: silent,
      readRole: silent,
    },
    ...{ readAccount: silent, listKeys: silent, fetchCredential: silent, pushCredential: silent },
    ...{ inspect: async () => [], readWebhook: () => ({ type: "unsigned" }), budget: undefined },
  };
}

async function fill(store: Store): Promise<void> {
  const { knowledge } = store;
  for (let id = 0; id < PEOPLE; id += 1) await knowledge.saveAccount(accountOf(id));
  for (let id = 0; id < REPOSITORIES; id += 1) {
    await knowledge.saveRepository(repositoryOf(id));
    const [source = ""] = rolesOf(id, 1).map((role) => role.source);
    await knowledge.saveRoles(repositoryOf(id), { verifiedAt: BEGAN_AT, source, roles: rolesOf(id, COLLABORATORS) });
  }
}

/** A store of people who may all do everything: too large to be kept, and made up as it is read. */
function makeDenseStore(): KnowledgeStore {
  const unused = (): Promise<never> => Promise.reject(new Error("Cannot ask this of a store that is made up"));
  const list = <Item>(count: number, make: (id: number) => Item): Promise<Item[]> =>
    Promise.resolve(Array.from({ length: count }, (_, id) => make(id)));
  async function* roles(): AsyncGenerator<RolesOf> {
    for (let id = 0; id < REPOSITORIES; id += 1) {
      yield await Promise.resolve({ repository: { forge: "hub", id: String(id) }, roles: rolesOf(id, PEOPLE) });
    }
  }
  return {
    ...{ accounts: () => list(PEOPLE, accountOf), repositories: () => list(REPOSITORIES, repositoryOf), roles },
    ...{ findAccount: unused, findRepository: unused, findRoles: unused, saveAccount: unused },
    ...{ saveRepository: unused, saveRoles: unused, saveRole: unused },
    ...{ onChanged: () => () => undefined, tellHint: async () => undefined, holdLease: async () => false },
  };
}

function usedBytes(): number {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error("Cannot measure memory: run with --expose-gc");
  for (let count = 0; count < 3; count += 1) gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Loads, measures, and hands on what was loaded. */
async function load(store: KnowledgeStore): Promise<{ readonly access: Access; readonly loaded: Loaded }> {
  const before = usedBytes();
  const begunAt = performance.now();
  const forges = [{ settings, client: makeSilentClient() }];
  const access = await openAccess({ forges, store, clock, log, holder: "bench" });
  const loadMs = performance.now() - begunAt;
  return { access, loaded: { loadMs, bytes: usedBytes() - before } };
}

/** People and repositories in an order that no cache likes. */
function subjects(count: number): Subject[] {
  return Array.from({ length: count }, (_, index) => {
    const repository = (index * 7_919) % REPOSITORIES;
    const person = (repository * 7 + (index % COLLABORATORS)) % PEOPLE;
    const refs = {
      account: { forge: "hub", id: String(person) },
      repository: { forge: "hub", id: String(repository) },
    };
    return { ...refs, key: makeKey(person * KEYS) };
  });
}

async function measureWarm(access: Access): Promise<number[]> {
  const samples: number[] = [];
  for (const subject of subjects(WARM_COUNT)) {
    const begunAt = performance.now();
    const owner = access.ownerOf(subject.key ?? "");
    const decision = await access.decide(subject, never);
    samples.push((performance.now() - begunAt) * 1e3);
    if (owner?.type !== "account" || !decision.allowed) throw new Error("Cannot measure: somebody was refused");
  }
  return samples;
}

/** Everything is too old, so each decision asks a GitHub on loopback by the real client. */
async function measureCold(store: Store): Promise<number[]> {
  const people = Array.from({ length: COLD_COUNT }, (_, id) => ({
    ...{ login: `person-${id}`, keys: [makeKeyLine(id)], role: "push" as const },
  }));
  await using github = await openGithub({
    org: "acme",
    repos: ["shop"],
    people: [{ login: "root", role: "owner" }, ...people],
  });
  const configured = github.configured(github.addToken("root"), { pollMs: 1 });
  const limits = { pointsPerSecond: 1e6, burstPoints: 1e6 };
  const client = makeGithub({ ...configured, clock, log, cache: store.answersOf("github"), limits });
  const forges = [{ settings: configured.settings, client }];
  const access = await openAccess({ forges, store: store.knowledge, clock, log, holder: "bench" });
  const samples: number[] = [];
  while ([...access.accounts()].filter(({ keys }) => keys.length > 0).length < COLD_COUNT) await clock.sleep(50);
  const [shop] = access.named("shop");
  if (shop === undefined) throw new Error("Cannot measure: the repository was not found");
  for (let id = 0; id < COLD_COUNT; id += 1) {
    const owner = access.ownerOf(makeKey(id));
    if (owner?.type !== "account") throw new Error(`Cannot measure: the key of person-${id} is not known`);
    const begunAt = performance.now();
    const decision = await access.decide({ account: owner.account, key: makeKey(id), repository: shop }, never);
    samples.push(performance.now() - begunAt);
    if (decision.sources.length < 3) throw new Error(`Cannot measure: ${JSON.stringify(decision)}`);
  }
  await access.close();
  return samples;
}

const [folder = "."] = process.argv.slice(2);
const store = await openStore({ type: "sqlite", path: join(folder, "access.db") }, { clock, log });
await fill(store);
const sparse = await load(store.knowledge);
const warmUs = await measureWarm(sparse.access);
await sparse.access.close();
const dense = await load(makeDenseStore());
await dense.access.close();
const cold = await openStore({ type: "sqlite", path: join(folder, "cold.db") }, { clock, log });
const coldMs = await measureCold(cold);
await cold.close();
await store.close();
const figures: AccessFigures = { warmUs, coldMs, sparse: sparse.loaded, dense: dense.loaded };
process.stdout.write(`${JSON.stringify(figures)}\n`);
