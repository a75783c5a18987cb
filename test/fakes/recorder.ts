/**
 * A user of a `Transport` that writes down what it is told.
 *
 * @module
 */
import type { Ending, TransportHandler } from "../../src/ssh/transport.ts";

export class Recorder implements TransportHandler {
  /** Copies of the messages, in order. */
  readonly messages: Buffer[] = [];
  readonly endings: Ending[] = [];
  readyCount = 0;
  drainedCount = 0;
  /** Also called, for tests that act on what comes. */
  onMessage: (payload: Buffer, body: Buffer) => void = () => {};
  onReady: () => void = () => {};
  onDrained: () => void = () => {};
  #waiting: (() => void)[] = [];

  ready(): void {
    this.readyCount++;
    this.onReady();
    this.#wake();
  }

  message(payload: Buffer, body: Buffer): void {
    this.messages.push(Buffer.from(payload));
    this.onMessage(payload, body);
    this.#wake();
  }

  drained(): void {
    this.drainedCount++;
    this.onDrained();
    this.#wake();
  }

  ended(ending: Ending): void {
    this.endings.push(ending);
    this.#wake();
  }

  /** Waits until something has come true; looked at after each call. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  async untilReady(): Promise<void> {
    await this.until(() => this.readyCount > 0 || this.endings.length > 0);
  }

  async untilEnded(): Promise<Ending> {
    await this.until(() => this.endings.length > 0);
    const ending = this.endings[0];
    if (ending === undefined) throw new Error("It has ended");
    return ending;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
