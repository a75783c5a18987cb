/**
 * One end of a relay: the client's transport, an environment's, or the lobby in this process.
 *
 * @module
 */
export interface Side {
  /** Sends a message of the connection protocol (RFC 4254). */
  send(payload: Buffer): void;
  /** Sends the padded packet that another side received. */
  forward(body: Buffer): void;
  /** Whether nothing more should be sent until it has drained. */
  readonly isFull: boolean;
  /** Stops and starts what it gives us. */
  pause(): void;
  resume(): void;
}
