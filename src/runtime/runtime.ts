/**
 * What every place that runs environments can do. `sandbox/` does it with Linux namespaces on this machine.
 *
 * Called by `controller/` (everything but `connect`) and, through it, by `gateway/` (`connect`). A runtime decides
 * nothing about people or lifetimes; it is handed a finished specification. Each method is idempotent by `id`: called
 * again after a crash at any moment it finishes what was begun.
 *
 * @module
 */
import type { Duplex, Readable } from "node:stream";
import type { Command, ContainerSpec } from "../wire/definition.ts";

export type { Command } from "../wire/definition.ts";

/** Ceilings of one environment. `undefined` means none. */
export interface Limits {
  readonly memoryBytes?: number;
  readonly processCount?: number;
  /** In processors: 0.5 is half of one. */
  readonly cpuCount?: number;
  /** Watched, not enforced, by the sandbox. */
  readonly diskBytes?: number;
}

/** Where the files of an environment come from. */
export interface Source {
  /** Name of the repository: `[a-z0-9._-]+`, also the folder name below `/workspace`. */
  readonly repository: string;
  /** Bare mirror on this machine whose objects the checkout borrows. */
  readonly mirrorPath: string;
  /** What `origin` is inside, so that a push goes to the forge with the person's own credentials. */
  readonly originUrl: string;
  readonly branch: string;
  /** Host (and port) for which git inside asks us for credentials, over https and through `Runtime.listen`. */
  readonly credentialHost?: string;
  /** Branch that a branch not yet on the forge starts from; `undefined` when the branch exists. */
  readonly fromBranch?: string;
}

/** One environment as the runtime sees it. The controller makes it once and stores it. */
export interface EnvironmentSpec {
  /** `[a-z0-9]{4,32}`: safe in paths, interface names (first 10 characters are unique) and cgroup names. */
  readonly id: string;
  /** RFC 1123 label. */
  readonly hostname: string;
  /** The environment's own user and group number on this machine; ignored where the service is not root. */
  readonly uid: number;
  readonly source: Source;
  /** For `user.name` and `user.email` of git inside. */
  readonly author: { readonly name: string; readonly email: string };
  readonly limits: Limits;
  /** Name of the cluster it is placed on; ignored by a runtime, which is one. */
  readonly cluster: string;
  /** Fence of the operation on whose behalf this is: objects made by an older one are not touched by a newer's stale twin. */
  readonly generation: number;
  /** Whose it is, for labels of outside objects; the login as in its record. A member of a pool has its pool's name. */
  readonly owner: { readonly person: string; readonly login: string } | { readonly pool: string };
}

/** How an environment is brought up; read from its definition, so known only after the checkout. */
export interface StartSpec {
  /** POSIX user name inside. */
  readonly user: string;
  /** Absolute path inside where sessions and commands begin. */
  readonly workspaceFolder: string;
  /** For every process of the environment (`containerEnv`). */
  readonly containerEnv: Readonly<Record<string, string>>;
  /** The service command kept running and restarted, if any; a shell line, run in `workspaceFolder`. */
  readonly run?: string;
  readonly runEnv: Readonly<Record<string, string>>;
  readonly container: ContainerSpec;
}

/** One connection into an environment. */
export interface SessionSpec {
  readonly sessionId: string;
  /** For every process of this session, over `containerEnv` (`remoteEnv`, `SLIPWAY_*`, `GIT_AUTHOR_*`). No NUL, no line break. */
  readonly env: Readonly<Record<string, string>>;
}

/** An `sshd -i` inside an environment, not yet spoken to. */
export interface Reach {
  /** The SSH byte stream, its first bytes still unread. Destroying it ends the sshd. */
  readonly stream: Duplex;
  /** Public host key the sshd will prove, in SSH wire form (RFC 4253 section 6.6): anything else must be refused. */
  readonly hostKey: Buffer;
  /** User name to authenticate as. */
  readonly user: string;
  /** Sentence for the person on what in the environment kept its sshd from letting anybody in, where that can be told. */
  readonly trouble?: () => string | undefined;
  /** Called once when its sshd has let us in. */
  readonly entered?: () => void;
  /** Ends the connection: hangs up on foreground processes (SIGHUP to their groups), then closes the stream. Idempotent. */
  end(): Promise<void>;
}

export interface Observed {
  /** `absent`: nothing of it exists. `sleeping`: its files exist, nothing runs. */
  readonly power: "absent" | "sleeping" | "running";
  /** Bytes of disk it occupies, when last measured. */
  readonly diskBytes?: number;
  /** Whether its checkout is complete, or will be by the next start. */
  readonly checkedOut: boolean;
  /** Names of other services in it, which sessions may be forwarded to. @default none */
  readonly serviceNames?: readonly string[];
  /** What its definition asks for and the place does not give, one sentence each. @default none */
  readonly warnings?: readonly string[];
  /** Why it cannot be put to sleep: its files would be lost. For its person. */
  readonly sleepless?: string;
  /** Names of volumes that belong to its services, and are not among the files that are moved. @default none */
  readonly volumes?: readonly string[];
}

/** Something that exists, as whoever finds it without a record has to know it. */
export interface Described {
  readonly id: string;
  /** By the place's own clock. */
  readonly ageMs: number;
  /** Made for a pool, and never anybody's. */
  readonly isMember: boolean;
}

/** Work in an environment that no forge has. Paths and subjects are cut to 20 each. */
export interface Unsaved {
  readonly changedPaths: readonly string[];
  readonly changedCount: number;
  /** `branch: subject` of each commit that no remote has. */
  readonly commits: readonly string[];
  readonly commitCount: number;
  /** Why there may be more, one sentence each: what could not be looked at counts as work. Absent when all could. */
  readonly doubts?: readonly string[];
}

/** Tells how far a start is: `slipway: checking out main … 38 ms`. The runtime measures; the caller words the line. */
export type Report = (step: string, tookMs: number) => void;

export interface Runtime {
  /** What this machine cannot do, one sentence each ("no network: …"); told to people as a warning. */
  readonly lacks: readonly string[];
  /** Variables that processes of a user begin with, before a definition has its say: at least `PATH` and `HOME`. */
  baseEnv(user: string, workspaceFolder: string): Readonly<Record<string, string>>;
  /** Makes the files: folders, checkout of the branch, host key of the inner sshd. Leaves nothing half made visible. */
  create(spec: EnvironmentSpec, report: Report, signal: AbortSignal): Promise<void>;
  /**
   * Text of a file of the checkout by its path in the repository, `undefined` when absent. Follows no link out of the checkout.
   *
   * @throws {Fault} `repository.unreached` where whether there is one cannot be told
   */
  readSource(id: string, path: string): Promise<string | undefined>;
  /** Names in a folder of the checkout, in any order, none when there is no such folder. Follows no link out of the checkout. */
  listSource(id: string, path: string): Promise<readonly string[]>;
  /** Makes namespaces, mounts, network, limits and the init process; does nothing to what runs already, but start its command where none was. */
  start(spec: EnvironmentSpec, start: StartSpec, report: Report, signal: AbortSignal): Promise<void>;
  /** Runs a command inside and waits; its output goes to the environment's log. */
  run(
    id: string,
    command: Command,
    env: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<{ exitCode: number }>;
  connect(id: string, session: SessionSpec, signal: AbortSignal): Promise<Reach>;
  /**
   * Takes the calls of what runs inside, in the stead of whoever took them before, until it is closed or the environment
   * sleeps. A few at once, or one after another, and 10 s for each; how much is read of one is bounded by `onCall`, and none
   * of it is trusted.
   */
  listen(id: string, onCall: (stream: Duplex) => void): Promise<{ close(): Promise<void> }>;
  observe(id: string): Promise<Observed>;
  unsaved(id: string): Promise<Unsaved>;
  /** Adds a line to the environment's log. */
  note(id: string, line: string): Promise<void>;
  /** Last `maxBytes` of the start-up and service log. */
  readLog(id: string, maxBytes: number): Promise<string>;
  /** Ends every process of it; files stay. */
  sleep(id: string): Promise<void>;
  /**
   * Ends it and removes every trace from this machine. Resolves when nothing is left.
   *
   * @param generation fence of the operation that destroys it; absent for what has no record
   * @throws {Fault} `environment.overtaken` where another service, or a newer operation, has gone on with it
   */
  destroy(id: string, generation?: number): Promise<void>;
  /** Ids of all that exists here, running or not, half made included. */
  list(): Promise<string[]>;
  /** Tells what is known of some of what `list` names, where a place can tell; for what nobody recorded. */
  describe?(ids: readonly string[], signal: AbortSignal): Promise<readonly Described[]>;
  /**
   * Everything that its person has in it, checkout and home, as a stream for `unpack`; it runs. Ends with an error when not
   * whole. From when this resolves until `signal` aborts whatever ran in it stands still, so that nothing is written that is
   * not in the stream.
   */
  pack?(id: string, signal: AbortSignal): Promise<Readable>;
  /** Puts that in the place of what a running environment has. @throws when it did not all arrive */
  unpack?(id: string, files: Readable, signal: AbortSignal): Promise<void>;
  /**
   * Makes a member of a pool, started and checked out already, the environment of `spec`: says whose it is, checks out the
   * branch over what is there, sets the author and starts the service command. Talks to the member first.
   *
   * @throws {Fault} `environment.unstarted` when the member does not answer; nothing of a person is in it then
   */
  claim?(spec: EnvironmentSpec, start: StartSpec, report: Report, signal: AbortSignal): Promise<void>;
}
