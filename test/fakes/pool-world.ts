/**
 * Pools on a real database, with a runtime in memory and a clock that is moved by hand. A service that is "killed" hangs
 * for ever in whatever it was doing, while another is started on the same database and the same machine.
 *
 * @module
 */
import { vi } from "vitest";
import { makePools } from "../../src/controller/pools/pools.ts";
import type { MemberSpec, Pools, PoolsOptions } from "../../src/controller/pools/ports.ts";
import type { Store } from "../../src/store/store.ts";
import type { PoolMember } from "../../src/store/pools.ts";
import type { PoolSettings } from "../../src/wire/cluster-settings.ts";
import { SOON } from "../harness/wait.ts";
import { hang } from "./controller-world.ts";
import { FakeRuntime } from "./fake-runtime.ts";
import type { HandClock } from "./hand-clock.ts";
import { type LoggedLine, recordingLog } from "./recording-log.ts";

export interface PoolWorld extends AsyncDisposable {
  readonly clock: HandClock;
  readonly runtime: FakeRuntime;
  readonly store: Store;
  readonly lines: LoggedLine[];
  /** What members are made from; by the name of the pool. */
  version: string;
  isBusy: boolean;
  /** Where members go, or why they cannot. */
  place: () => Promise<string>;
  /** Of each cluster. @default any number */
  capacity: number;
  verify: (id: string) => Promise<void>;
  /** Starts a service that keeps its pools. */
  serve(changes?: Partial<PoolsOptions>): Served;
  members(): Promise<PoolMember[]>;
  /** Waits, without moving the clock, until something is so of the members. */
  until(isSo: (members: readonly PoolMember[]) => boolean): Promise<void>;
}

export interface Served {
  readonly pools: Pools;
  /** Ends it in an orderly way. */
  readonly stop: () => Promise<void>;
}

export function poolOf(changes: Partial<PoolSettings> = {}): PoolSettings {
  return { name: "hello", repository: "hello", size: 2, schedule: [], ...changes };
}

/** What a member is made from whose pool has version `version`. */
export function memberSpec(version: string): MemberSpec {
  return {
    version,
    image: "debian",
    needs: { podSecurity: "restricted", wantedLabels: {} },
    requests: { cpuCount: 1, memoryBytes: 0 },
    make: (id, cluster) => ({
      spec: {
        ...{ id, cluster, hostname: "hello", uid: 1, limits: {}, generation: 1, owner: { pool: "hello" } },
        source: { repository: "hello", mirrorPath: "/m", originUrl: "https://x/hello", branch: "main" },
        author: { name: "Slipway", email: "" },
      },
      start: {
        ...{ user: "dev", workspaceFolder: "/workspace/hello", containerEnv: {}, runEnv: {} },
        container: {
          ...{ manifests: [], podSecurity: "restricted", serviceAccountToken: false, tier: "lightweight" },
          hostRequirements: {},
        },
      },
      bake: [{ name: "onCreateCommand", parallel: { onCreateCommand: { shell: "npm ci" } } }],
      env: { CI: "1" },
    }),
  };
}

/** @param store an empty one, opened with `clock` */
export function makePoolWorld(store: Store, clock: HandClock): PoolWorld {
  const { log, lines } = recordingLog();
  const served: Served[] = [];
  const world: PoolWorld = {
    ...{ clock, store, lines, runtime: new FakeRuntime(), version: "image=1", isBusy: false },
    capacity: Number.POSITIVE_INFINITY,
    place: async () => "east",
    verify: async () => undefined,
    serve: (changes = {}) => {
      const stop = new AbortController();
      const pools = makePools({
        settings: [poolOf()],
        store,
        runtime: world.runtime,
        describe: async () => memberSpec(world.version),
        place: async () => ({ cluster: await world.place(), capacity: world.capacity }),
        verify: (id) => world.verify(id),
        isBusy: () => world.isBusy,
        ...{ clock, log, ...changes },
      });
      const kept = pools.keep(stop.signal);
      const one = {
        pools,
        stop: async () => {
          stop.abort();
          await kept;
        },
      };
      served.push(one);
      return one;
    },
    members: () => store.pools.list(),
    until: async (isSo) => {
      await vi.waitUntil(async () => isSo(await store.pools.list()), SOON);
    },
    [Symbol.asyncDispose]: async () => {
      world.runtime.heal();
      // Those that were killed hang.
      await Promise.race([Promise.all(served.map((one) => one.stop())), new Promise((end) => setTimeout(end, 100))]);
    },
  };
  return world;
}

/** A process that ends in its n-th effect on database or machine, from 1: before that has happened, or after. */
export class Killer {
  isDead = false;
  /** Effects so far. */
  count = 0;
  readonly #at: number;
  readonly #when: "before" | "after";

  constructor(at: number, when: "before" | "after") {
    this.#at = at;
    this.#when = when;
  }

  /** What the process sees of an object whose methods have the effects; those named in `reads` are none. */
  watch<T extends object>(object: T, reads: readonly string[]): T {
    return new Proxy(object, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return async (...args: unknown[]): Promise<unknown> => {
          if (this.isDead) return hang();
          const isLast = !reads.includes(String(name)) && ++this.count === this.#at;
          if (isLast && this.#when === "before") return this.#die();
          const result: unknown = await Reflect.apply(value, target, args);
          if (isLast) return this.#die();
          return this.#hasDied() ? hang() : result;
        };
      },
    });
  }

  /** It may have while somebody waited. */
  #hasDied(): boolean {
    return this.isDead;
  }

  #die(): Promise<never> {
    this.isDead = true;
    return hang();
  }
}
