/**
 * What the network of environments is to the rest: always a namespace of its own, and here with nothing but a loopback.
 * `nat.ts` gives a way out.
 *
 * @module
 */
import { findProgram } from "./machine.ts";

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

/** Makes the network of a machine where environments have nothing but their own loopback. */
export function makeLoopback(lacks: readonly string[]): Network {
  const hasIp = findProgram("ip") !== undefined;
  return {
    mode: "loopback",
    nameservers: [],
    lacks,
    reserve: () => 0,
    release: () => {},
    insideBatch: () => (hasIp ? "link set lo up\n" : ""),
    attach: async () => {},
    detach: async () => {},
    repair: async () => {},
  };
}
