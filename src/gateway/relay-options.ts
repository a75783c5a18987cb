/**
 * What a relay is given, and the words in which it asks and tells.
 *
 * @module
 */
import type { Side } from "./side.ts";

/** What a client wants to open, in words: for the policy and the audit log. */
export interface Wanted {
  /** Channel type or global request name. */
  readonly type: string;
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
}

export type Verdict = { readonly allowed: true } | { readonly allowed: false; readonly reason: string };

export interface RelayOptions {
  readonly client: Side;
  /** Serves what the client opens. */
  readonly far: Side;
  /** Asked on each channel open and each forwarding request of the client. */
  readonly judge: (wanted: Wanted) => Verdict;
  /** Told of each verdict, and of each program started on a session channel. */
  readonly onOpened: (wanted: Wanted, verdict: Verdict) => void;
  /** Answers `hostkeys-prove-00@openssh.com`: our host keys, not the far side's, are what the client knows. */
  readonly proveHostKeys: (request: Buffer) => Buffer | undefined;
  /** Called for each piece of data that the client sends. */
  readonly onInput: () => void;
}
