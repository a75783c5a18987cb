/**
 * Environments kept ready for whoever comes: filled ahead, claimed in a moment, explained to people.
 *
 * Made once by `src/cmd` beside the environments, which claim from it. A member is used once: it becomes the environment of
 * the id that it has, or goes.
 *
 * @module
 */
import { keep } from "../../base/keep.ts";
import { nearestTo } from "../../base/nearest.ts";
import { wrongUsage } from "../../base/command-line.ts";
import { claimMember } from "./claiming.ts";
import { explainPool, listPools } from "./explaining.ts";
import { lookAtPools } from "./keeping.ts";
import type { Pools, PoolsOptions } from "./ports.ts";
import { LONG_AGO, makeState } from "./state.ts";

/** Makes the pools of one service. Nothing is done before `keep` is called. */
export function makePools(options: PoolsOptions): Pools {
  const { settings, store, log } = options;
  const state = makeState(options);
  const { bell } = state;
  return {
    keep: async (signal) => {
      const onFailure = (error: unknown): void => {
        log.error("pools.unkept", error);
      };
      await keep((until) => lookAtPools(options, state, until), { clock: bell.clock, onFailure }, signal);
      await Promise.all([...state.making.values()].map(({ done }) => done));
    },
    claim: (request, signal) => claimMember(options, state, request, signal),
    giveUp: async (id, because) => {
      await store.pools.move(id, "claimed", "leaving", because);
      state.handed.delete(id);
      bell.ring();
    },
    owns: async (id) => (await store.pools.find(id)) !== undefined,
    look: (repository) => {
      const meant = settings.filter((pool) => repository === undefined || pool.repository === repository);
      for (const { name } of meant) {
        const known = state.described.get(name) ?? { spec: undefined, trouble: undefined };
        state.described.set(name, { ...known, readAt: LONG_AGO });
      }
      bell.ring();
    },
    list: () => listPools(options, state),
    explain: async (name) => {
      const explanation = await explainPool(options, state, name);
      if (explanation !== undefined) return explanation;
      const names = settings.map((pool) => pool.name);
      const near = nearestTo(name, names, { atMostCount: 3 });
      const hint = near.length === 0 ? "" : `; nearest: ${near.join(", ")}`;
      throw wrongUsage(`there is no pool ${JSON.stringify(name)}${hint}`);
    },
  };
}
