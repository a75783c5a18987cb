/**
 * What the gateway needs of others, in its own words. `cmd/` hands in the real ones; tests hand in theirs.
 *
 * @module
 */
import type { Target, Verdict } from "../policy/forward.ts";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { AsOf, Directory } from "../forge/directory.ts";
import type { SigningKey } from "../ssh/private-keys.ts";
import type { AuditEvent } from "../wire/audit.ts";
import type { Person, Who } from "../wire/person.ts";
import type { Reached, RekeyLimits } from "./far.ts";
import type { Sessions } from "./sessions.ts";
import type { Side } from "./side.ts";
import type { Metrics } from "./metrics.ts";
import type { Newcomers } from "./newcomers.ts";

/** An environment that takes connections. */
export interface OpenEnvironment {
  readonly id: string;
  readonly login: string;
  /** Id of the repository that it is of: whoever is inside has to go on being allowed to use it. */
  readonly repository: string;
  /** Set when the forge could not be asked whether its person may be let in, and they were told so. */
  readonly asOf?: AsOf;
  /** Opens one more way in; `end` hangs up on what runs in the foreground. */
  connect(
    session: { sessionId: string; login: string },
    signal: AbortSignal,
  ): Promise<Reached & { end(): Promise<void> }>;
  /** Counts a session from now until the returned function is called. */
  attached(sessionId: string): () => void;
  /** Says whether a client may open this from or towards the environment. */
  judge(wanted: Target): Verdict;
}

export interface Environments {
  /**
   * Finds or makes the environment that a login means for a person.
   *
   * @param report takes progress and warnings, one line each, for the person
   * @throws {Fault} with the sentence for the person
   */
  enter(
    request: { who: Who; login: string },
    report: (line: string) => void,
    signal: AbortSignal,
  ): Promise<OpenEnvironment>;
  /** Calls back when an environment is taken away. @returns a function that stops it */
  onGone(environment: string, listener: (reason: string) => void): () => void;
}

/** A session of the lobby. */
export interface LobbySession {
  readonly id: string;
  readonly person: Person;
  /** The key that was proved, in wire form. */
  readonly keyBlob: Buffer;
  readonly toClient: (payload: Buffer) => void;
}

/** Serves `slip@host`. */
export interface Lobby {
  isLobby(login: string): boolean;
  /** Makes the far side of one session; its messages go to `toClient`. */
  open(session: LobbySession): Side & { end(): void };
}

export interface Audit {
  /** Resolves when the record is on disk. */
  append(event: AuditEvent): Promise<void>;
  /** Whether too much waits for the disk. */
  readonly isBehind: boolean;
}

/** Everything that all connections share. */
export interface GatewayDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly audit: Audit;
  readonly metrics: Metrics;
  readonly sessions: Sessions;
  /** Our host keys, the proving ones first; the rest are announced for rotation. */
  readonly hostKeys: () => readonly SigningKey[];
  /** The key we enter environments with. */
  readonly gatewayKey: SigningKey;
  /** Who a key belongs to, and whether they may be let in and go on. */
  readonly directory: Pick<Directory, "whose" | "mayUse" | "judge" | "watch">;
  readonly newcomers: Newcomers;
  readonly environments: Environments;
  readonly lobby: Lobby;
  readonly limits: {
    readonly loginGraceMs: number;
    readonly keysPerConnection: number;
    readonly sessionsPerPerson: number;
  };
  /** When we renew the keys of both legs of a session. @default as `Transport` does */
  readonly rekey?: RekeyLimits;
}
