/**
 * What all parts of the sandbox work with: the machine, where files go, and the means handed in from outside.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { ControlGroups } from "./control-groups.ts";
import type { Machine } from "./machine.ts";
import type { Network } from "./network.ts";

export interface Host {
  readonly stateDir: string;
  readonly machine: Machine;
  readonly groups: ControlGroups;
  readonly network: Network;
  /** Which boot of the machine this is. */
  readonly bootId: string;
  /** Name of a program inside → file on this machine. */
  readonly tools: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly log: Log;
}
