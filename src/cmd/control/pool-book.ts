/**
 * What a running service answers about its pools.
 *
 * Made by `access-services.ts`.
 *
 * @module
 */
import { wrongUsage } from "../../base/command-line.ts";
import type { LobbyPools } from "../../gateway/lobby/commands.ts";
import type { ControlHandlers } from "./open-control.ts";

export type PoolBook = Pick<ControlHandlers, "/pools/list" | "/pools/explain">;

/** @param pools `undefined` where there are none */
export function makePoolBook(pools: LobbyPools | undefined): PoolBook {
  return {
    "/pools/list": async () => (await pools?.list()) ?? [],
    "/pools/explain": async ({ name }) => {
      if (pools === undefined) throw wrongUsage("there are no pools; they are kept on clusters");
      return pools.explain(name);
    },
  };
}
