/**
 * What the parts of the controller share: whom they ask and what they may give.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Directory } from "../forge/directory.ts";
import type { Mirrors } from "../forge/mirrors.ts";
import type { Limits, Runtime } from "../runtime/runtime.ts";
import type { Environments as Records } from "../store/environments.ts";
import type { AuditEvent } from "../wire/audit.ts";

export interface Context {
  readonly store: Records;
  readonly runtime: Runtime;
  readonly mirrors: Pick<Mirrors, "pathOf" | "originUrlOf" | "refresh" | "branches" | "defaultBranch">;
  readonly directory: Pick<Directory, "find" | "repository" | "usable" | "mayUse">;
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
