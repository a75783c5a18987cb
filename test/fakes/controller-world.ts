/**
 * A machine with people and repositories for the controller: the real database, a runtime in memory, mirrors that are
 * lists of names. A service that is "killed" is one that hangs for ever while another is made beside it.
 *
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeClock } from "../../src/base/clock.ts";
import { Fault } from "../../src/base/fault.ts";
import { makeLog } from "../../src/base/log.ts";
import type { Context } from "../../src/controller/context.ts";
import { type Environments, makeEnvironments } from "../../src/controller/environments.ts";
import type { Environments as Records } from "../../src/store/environments.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import type { AuditEvent } from "../../src/wire/audit.ts";
import type { Repository } from "../../src/wire/repository.ts";
import { FakeRuntime } from "./fake-runtime.ts";

/** Never resolves: what a killed process waits for. */
export function hang(): Promise<never> {
  return new Promise(() => undefined);
}

export const never: AbortSignal = new AbortController().signal;

export interface World extends AsyncDisposable {
  readonly runtime: FakeRuntime;
  readonly store: Store;
  /** Branches at the origin, by repository; the first is the default. */
  readonly origins: Map<string, string[]>;
  /** Repositories by person. */
  readonly grants: Map<string, string[]>;
  /** What is known of repositories beside their names, by id. */
  readonly repositories: Map<string, Repository>;
  readonly audited: AuditEvent[];
  /** Which mirrors were refreshed, in order. */
  readonly refreshed: string[];
  /** Whether origins can be asked. */
  isAway: boolean;
  /** What a service is made with. */
  context(): Context;
  /** Starts a service; one that was started before counts as killed. */
  serve(changes?: Partial<Context>): Environments;
  /** The store as a process sees that is killed at its n-th write, from 1: before it, or after. */
  storeKilledAt(write: number, when: "before" | "after"): KilledStore;
}

interface KilledStore {
  readonly store: Records;
  /** Resolves at the kill. From then on nothing more is written; never when there are fewer writes. */
  readonly killed: Promise<undefined>;
}

/** Makes a world in which ada may use `hello` and `tools`, and bob `hello`. */
export async function makeWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), "slipway-world-"));
  const clock = makeClock();
  const store = await openStore(
    { type: "sqlite", path: join(folder, "slipway.db") },
    { clock, log: makeLog("silent") },
  );
  const services: Environments[] = [];
  const known = new Map<string, string[]>();
  const world: World = {
    context: () => context(),
    runtime: new FakeRuntime(),
    store,
    origins: new Map([
      ["hello", ["main", "feature/x"]],
      ["tools", ["trunk"]],
    ]),
    grants: new Map([
      ["ada", ["hello", "tools"]],
      ["bob", ["hello"]],
    ]),
    repositories: new Map(),
    audited: [],
    refreshed: [],
    isAway: false,
    serve: (changes = {}) => {
      const environments = makeEnvironments({ ...world.context(), ...changes });
      services.push(environments);
      return environments;
    },
    storeKilledAt: (write, when) => killedAt(store.environments, write, when),
    [Symbol.asyncDispose]: async () => {
      world.runtime.heal();
      await Promise.race([Promise.all(services.map((service) => service.close())), clock.sleep(100)]);
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
  const context = (): Context => ({
    store: store.environments,
    runtime: world.runtime,
    mirrors: {
      pathOf: (repository) => `/mirrors/${repository}.git`,
      originUrlOf: (repository) => `https://git.example.com/${repository}`,
      refresh: async (repository) => {
        world.refreshed.push(repository);
        if (!world.isAway) known.set(repository, [...(world.origins.get(repository) ?? [])]);
        if (known.get(repository) === undefined)
          throw new Fault("repository.unreached", `Cannot fetch ${repository}: away`);
        return { stale: world.isAway, askedAt: clock.now() };
      },
      branches: async (repository) => known.get(repository) ?? [],
      defaultBranch: async (repository) => known.get(repository)?.[0],
    },
    directory: {
      find: (name) => ({ id: name, name, fullName: `Full ${name}`, email: `${name}@example.com`, admin: false }),
      repository: (id) => world.repositories.get(id) ?? { id, name: id, url: "/" },
      usable: async ({ person }) => ({
        repositories: (world.grants.get(person) ?? []).map((id) => ({ id, name: id, url: "/" })),
        told: [],
      }),
      mayUse: async ({ person }, repository = "") =>
        world.grants.get(person)?.includes(repository) === true
          ? { allowed: true }
          : { allowed: false, isUnverified: false, told: `no grant for ${repository}` },
      mayPush: async (person, repository) =>
        world.grants.get(person)?.includes(repository) === true
          ? { allowed: true }
          : { allowed: false, isUnverified: false, told: "you may read it and not push to it" },
      watchPush: () => () => undefined,
    },
    audit: {
      append: async (event) => {
        world.audited.push(event);
      },
    },
    clock,
    log: makeLog("silent"),
    limits: { perPerson: 3, environment: { diskBytes: 5_000 }, firstUid: 200_000, uidCount: 100 },
  });
  return world;
}

function killedAt(store: Records, write: number, when: "before" | "after"): KilledStore {
  const kill = Promise.withResolvers<undefined>();
  let count = 0;
  const killing = <Args extends unknown[], Result>(method: (...args: Args) => Promise<Result>) => {
    return async (...args: Args): Promise<Result> => {
      const at = ++count;
      if (at < write) return method(...args);
      if (at === write && when === "after") await method(...args);
      if (at === write) kill.resolve(undefined);
      return hang();
    };
  };
  const writes = {
    add: killing((...args: Parameters<Records["add"]>) => store.add(...args)),
    begin: killing((...args: Parameters<Records["begin"]>) => store.begin(...args)),
    update: killing((...args: Parameters<Records["update"]>) => store.update(...args)),
    end: killing((...args: Parameters<Records["end"]>) => store.end(...args)),
    takeRoom: killing((...args: Parameters<Records["takeRoom"]>) => store.takeRoom(...args)),
    observe: killing((...args: Parameters<Records["observe"]>) => store.observe(...args)),
    remove: killing((...args: Parameters<Records["remove"]>) => store.remove(...args)),
  } satisfies Partial<Records>;
  return { store: { ...store, ...writes }, killed: kill.promise };
}
