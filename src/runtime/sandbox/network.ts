/**
 * The network of environments: always a namespace of its own, with a way out by NAT (`nat.ts`) where the machine can.
 *
 * @module
 */
import type { Log } from "../../base/log.ts";

/** `auto`: NAT where this machine can, loopback only otherwise. `nat`: or not at all. */
export type NetworkChoice = "auto" | "nat" | "loopback";

export interface Network {
  readonly mode: "nat" | "loopback";
  /** Name servers that environments can reach. */
  readonly nameservers: readonly string[];
  readonly lacks: readonly string[];
  /** Takes a pair of addresses for an environment, by its index. */
  reserve(id: string): number;
  release(id: string): void;
  /** Lines for `ip -batch` inside the new network namespace. */
  insideBatch(index: number): string;
  /** Makes this machine's end and puts the other into the namespace of `pid`. */
  attach(id: string, index: number, pid: number): Promise<void>;
  /** Removes this machine's end, if it is still there. */
  detach(id: string): Promise<void>;
  /** Takes the addresses of an environment that runs, and makes its network again if it is gone. */
  repair(id: string, index: number, pid: number): Promise<void>;
}

/** Chooses the network of this machine. */
export async function openNetwork(choice: NetworkChoice, _options: { stateDir: string; log: Log }): Promise<Network> {
  return makeLoopback(choice === "loopback" ? [] : ["no network beyond its own loopback: not built yet"]);
}

/** Makes the network of a machine where environments have nothing but their own loopback. */
export function makeLoopback(lacks: readonly string[]): Network {
  return {
    mode: "loopback",
    nameservers: [],
    lacks,
    reserve: () => 0,
    release: () => {},
    insideBatch: () => "link set lo up\n",
    attach: async () => {},
    detach: async () => {},
    repair: async () => {},
  };
}
