/**
 * The failures we foresee. Each has a code that never changes, says who can act on it, and keeps what a person is told
 * apart from what is logged. Anything else that is thrown is a bug of ours.
 *
 * @module
 */

/** Who can do something about a fault. */
export type Blame = "caller" | "operator" | "us";

/**
 * Every failure we foresee. A code is never renamed or reused. `exit` is what `slip` and the lobby exit with: 1 a plain
 * refusal, 2 wrong usage, 69 to 78 as in sysexits.h.
 */
export const faults = {
  "settings.invalid": { blame: "operator", retry: false, exit: 78, means: "the settings file cannot be used" },
  "usage.wrong": { blame: "caller", retry: false, exit: 2, means: "the words of a command are off" },
  "login.malformed": { blame: "caller", retry: false, exit: 2, means: "the SSH user name cannot be read as a login" },
  "login.ambiguous": { blame: "caller", retry: false, exit: 1, means: "the login fits several branches" },
  "login.unknown": { blame: "caller", retry: false, exit: 1, means: "no repository and branch of this person fits" },
  "grant.absent": { blame: "caller", retry: false, exit: 77, means: "the person has no right to this" },
  "definition.invalid": { blame: "caller", retry: false, exit: 1, means: "the devcontainer.json cannot be used" },
  "session.absent": { blame: "caller", retry: false, exit: 1, means: "there is no such session" },
  "environment.absent": { blame: "caller", retry: false, exit: 1, means: "there is no such environment" },
  "environment.unsaved": { blame: "caller", retry: false, exit: 1, means: "work in the environment is not pushed" },
  "environment.limit": { blame: "caller", retry: false, exit: 1, means: "the person has as many as are allowed" },
  "environment.failed": { blame: "caller", retry: true, exit: 1, means: "a start-up command of the repository failed" },
  "environment.gone": { blame: "caller", retry: true, exit: 1, means: "the environment ended under the session" },
  "environment.overtaken": {
    blame: "operator",
    retry: false,
    exit: 75,
    means: "another service goes by our name and has gone on with the environment",
  },
  "repository.unreached": { blame: "operator", retry: true, exit: 69, means: "the repository cannot be fetched" },
  "forge.unreached": { blame: "operator", retry: true, exit: 69, means: "the forge gave no whole answer" },
  "forge.limited": { blame: "operator", retry: true, exit: 75, means: "the forge rations requests, and none is left" },
  "forge.refused": { blame: "operator", retry: false, exit: 77, means: "the forge does not accept our credential" },
  "service.absent": { blame: "operator", retry: true, exit: 69, means: "no service answers on this state folder" },
  "service.failed": { blame: "us", retry: true, exit: 70, means: "the service failed; its log says why" },
  "check.failed": { blame: "operator", retry: false, exit: 1, means: "a forge or a cluster lacks something" },
  "access.unknown": { blame: "caller", retry: false, exit: 1, means: "nobody, or nothing, is known by this name" },
  "access.ambiguous": { blame: "caller", retry: false, exit: 1, means: "the name fits several people or repositories" },
  "runtime.unable": { blame: "operator", retry: false, exit: 71, means: "this machine lacks something we need" },
  "runtime.failed": { blame: "us", retry: true, exit: 71, means: "an environment could not be made or entered" },
  "cluster.unreached": {
    blame: "operator",
    retry: true,
    exit: 69,
    means: "a cluster's API server gave no whole answer",
  },
  "cluster.refused": {
    blame: "operator",
    retry: false,
    exit: 71,
    means: "a cluster does not accept an object of ours",
  },
  "cluster.forbidden": { blame: "operator", retry: false, exit: 77, means: "a cluster does not let us do something" },
  "cluster.full": { blame: "operator", retry: true, exit: 75, means: "no cluster has room for one more environment" },
  "environment.unplaced": { blame: "caller", retry: false, exit: 1, means: "no cluster can take this environment" },
  "environment.unstarted": { blame: "caller", retry: true, exit: 1, means: "a pod of the environment does not start" },
  "environment.stuck": {
    blame: "operator",
    retry: true,
    exit: 75,
    means: "something holds up the end of an environment",
  },
  "manifests.invalid": { blame: "caller", retry: false, exit: 1, means: "the repository's manifests cannot be used" },
  "machine.full": { blame: "operator", retry: true, exit: 75, means: "this machine has no room for one more" },
  "state.locked": { blame: "operator", retry: true, exit: 75, means: "another process uses the state folder" },
  "state.unreached": { blame: "operator", retry: true, exit: 69, means: "the database does not answer" },
  "state.unwritable": { blame: "operator", retry: false, exit: 73, means: "the state folder cannot be written to" },
  "state.damaged": { blame: "operator", retry: false, exit: 74, means: "a file of the state folder is damaged" },
  "audit.broken": { blame: "operator", retry: false, exit: 1, means: "the audit log was changed after it was written" },
  "protocol.violated": { blame: "caller", retry: false, exit: 76, means: "a peer broke the SSH protocol" },
  "protocol.unmatched": { blame: "caller", retry: false, exit: 76, means: "no algorithm in common with the peer" },
  "peer.gone": { blame: "caller", retry: true, exit: 69, means: "the peer closed the connection" },
  "shutdown.begun": { blame: "operator", retry: true, exit: 75, means: "the service is shutting down" },
} as const satisfies Record<string, { blame: Blame; retry: boolean; exit: number; means: string }>;

export type FaultCode = keyof typeof faults;

export interface FaultOptions {
  /** One sentence that the person may read; without it they read only what the code means. */
  readonly told?: string;
  readonly cause?: unknown;
}

/** A failure we foresee. `message` is for the log, `told` for the person; neither is built from the other. */
export class Fault extends Error {
  override readonly name = "Fault";
  readonly code: FaultCode;
  readonly told: string;

  constructor(code: FaultCode, message: string, options: FaultOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.told = options.told ?? faults[code].means;
  }
}

/** Says what a person may read about any thrown value: a fault's own sentence, and nothing of a bug's. */
export function toldOf(error: unknown): string {
  return error instanceof Fault ? error.told : "something went wrong inside Slipway; the log has the details";
}
