/**
 * One end of a relay that writes down what it is sent; and messages in the packets they come in.
 *
 * @module
 */
import { makeBody, payloadOf, plainSealer } from "../../src/ssh/ciphers.ts";
import type { Side } from "../../src/gateway/side.ts";

export class FakeSide implements Side {
  /** Copies of what was sent and forwarded, in order. */
  readonly sent: Buffer[] = [];
  isFull = false;
  isPaused = false;
  pauseCount = 0;

  send(payload: Buffer): void {
    this.sent.push(Buffer.from(payload));
  }

  forward(body: Buffer): void {
    this.send(payloadOf(body));
    body.fill(0xee); // it is gone: whoever reads it again shall notice
  }

  pause(): void {
    this.isPaused = true;
    this.pauseCount++;
  }

  resume(): void {
    this.isPaused = false;
  }

  /** Takes what was sent since the last call. */
  take(): Buffer[] {
    return this.sent.splice(0);
  }
}

/** Frames a message as a transport hands it over: the payload is a view into the body. */
export function packetOf(message: Buffer): { payload: Buffer; body: Buffer } {
  const body = makeBody(message, { ...plainSealer, padsLength: false, blockBytes: 16 });
  return { payload: payloadOf(body), body };
}
