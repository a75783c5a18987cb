/**
 * What a store is opened with, whichever database it is in.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import type { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";

export interface StoreOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Whose environments these are. @default "local" */
  readonly installation?: string;
  /** Whether another process with this installation keeps us from opening it, as a file always does. @default false */
  readonly isAlone?: boolean;
  /** How long to wait for such a process to end. @default 15 s */
  readonly lockMs?: number;
  /** Called when another process has become this installation, while the database was away: we have to end. */
  readonly onLost?: (fault: Fault) => void;
}
