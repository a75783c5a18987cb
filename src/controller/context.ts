/**
 * What the parts of the controller share: whom they ask and what they may give.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Directory } from "../forge/directory.ts";
import type { GitCredential } from "../forge/forge-client.ts";
import type { Mirrors } from "../forge/mirrors.ts";
import type { Limits, Runtime } from "../runtime/runtime.ts";
import type { Environments as Records } from "../store/environments.ts";
import type { AuditEvent } from "../wire/audit.ts";
import type { Clusters } from "./clusters.ts";

export interface Context {
  readonly store: Records;
  readonly runtime: Runtime;
  /** Absent where environments run on this machine. */
  readonly clusters?: Clusters;
  readonly mirrors: Pick<Mirrors, "pathOf" | "originUrlOf" | "refresh" | "branches" | "defaultBranch">;
  readonly directory: Pick<Directory, "find" | "repository" | "usable" | "mayUse" | "mayPush" | "watchPush">;
  /**
   * Has a forge make a token that pushes to one repository, by its id, and to nothing else; `undefined`: it makes none.
   * Absent where no forge does.
   *
   * @throws {Fault} `forge.unreached`, `forge.limited` or `forge.refused`
   */
  readonly pushCredential?: (repository: string, signal: AbortSignal) => Promise<GitCredential | undefined>;
  readonly audit: { append(event: AuditEvent): Promise<void> };
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: {
    /** Environments of one person at one time. */
    readonly perPerson: number;
    /** Of one environment. */
    readonly environment: Limits;
    readonly firstUid: number;
    readonly uidCount: number;
  };
}
