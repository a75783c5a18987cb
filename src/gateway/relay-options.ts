/**
 * What a relay is given.
 *
 * @module
 */
import type { Target, Verdict } from "../policy/forward.ts";
import type { Side } from "./side.ts";

export interface RelayOptions {
  readonly client: Side;
  /** Serves what the client opens. */
  readonly far: Side;
  /** Asked on each channel open and each forwarding request of the client. */
  readonly judge: (wanted: Target) => Verdict;
  /** Told of each verdict, and of each program started on a session channel. */
  readonly onOpened: (wanted: Target, verdict: Verdict) => void;
  /** Answers `hostkeys-prove-00@openssh.com`: our host keys, not the far side's, are what the client knows. */
  readonly proveHostKeys: (request: Buffer) => Buffer | undefined;
  /** Called for each piece of data that the client sends. */
  readonly onInput: () => void;
}
