/**
 * Brings webhooks to their addresses, as badly as a test wants: late, twice, in another order, forged, or never.
 *
 * @module
 */
import type { Clock } from "../../../src/base/clock.ts";

export type Signature = "good" | "wrong" | "absent";

/** A webhook that is ready to go. */
export interface Parcel {
  /** The forge's id of this delivery; a redelivery has the same. */
  readonly id: string;
  /** `member.removed` */
  readonly event: string;
  readonly url: string;
  readonly body: string;
  /** All headers, with this kind of signature. */
  headers(signature: Signature): Readonly<Record<string, string>>;
}

/** How parcels are treated from now on. */
export interface Treatment {
  /** On the courier's clock. @default 0 */
  readonly delayMs?: number;
  /** @default 1 */
  readonly copyCount?: number;
  /** Those for which it says so never arrive. */
  readonly loses?: (parcel: Parcel) => boolean;
  /** @default "good" */
  readonly signature?: Signature;
}

/** What became of one copy. */
export interface Delivery {
  readonly id: string;
  readonly event: string;
  readonly sentAt: number;
  /** `undefined`: lost, or nobody answered. */
  readonly status: number | undefined;
  /** The answer's body. */
  readonly text: string;
}

export class Courier {
  readonly #clock: Pick<Clock, "now" | "sleep">;
  readonly #deliveries: Delivery[] = [];
  readonly #closing = new AbortController();
  #treatment: Treatment = {};
  #held: Parcel[] | undefined;
  #underWay: Promise<void> = Promise.resolve();

  constructor(clock: Pick<Clock, "now" | "sleep">) {
    this.#clock = clock;
  }

  get deliveries(): readonly Delivery[] {
    return this.#deliveries;
  }

  treat(treatment: Treatment): void {
    this.#treatment = treatment;
  }

  /** Keeps parcels until `release`. */
  hold(): void {
    this.#held ??= [];
  }

  /** Sends what was held, one after the other. */
  release(order: "as-made" | "reversed" = "as-made"): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const parcel of order === "reversed" ? held.reverse() : held) {
      const before = this.#underWay;
      this.#underWay = before.then(() => this.#bring(parcel, this.#treatment));
    }
  }

  send(parcel: Parcel): void {
    if (this.#held !== undefined) this.#held.push(parcel);
    else {
      const brought = this.#bring(parcel, this.#treatment);
      this.#underWay = Promise.all([this.#underWay, brought]).then(() => undefined);
    }
  }

  /** Waits until everything that was sent has arrived or is lost. */
  async settled(): Promise<void> {
    let seen: Promise<void> | undefined;
    while (seen !== this.#underWay) {
      seen = this.#underWay;
      await seen;
    }
  }

  close(): void {
    this.#closing.abort();
  }

  async #bring(parcel: Parcel, treatment: Treatment): Promise<void> {
    const { delayMs = 0, copyCount = 1, loses, signature = "good" } = treatment;
    const { id, event } = parcel;
    if (loses?.(parcel) === true) {
      this.#deliveries.push({ id, event, sentAt: this.#clock.now(), status: undefined, text: "" });
      return;
    }
    try {
      if (delayMs > 0) await this.#clock.sleep(delayMs, this.#closing.signal);
    } catch {
      return; // closed meanwhile
    }
    await Promise.all(Array.from({ length: copyCount }, () => this.#post(parcel, signature)));
  }

  async #post(parcel: Parcel, signature: Signature): Promise<void> {
    const { id, event, url, body } = parcel;
    const sentAt = this.#clock.now();
    const headers = { "content-type": "application/json", ...parcel.headers(signature) };
    // GitHub gives up after 10 s: docs.github.com, "Best practices for using webhooks".
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(10_000)]);
    try {
      const response = await fetch(url, { method: "POST", headers, body, signal });
      this.#deliveries.push({ id, event, sentAt, status: response.status, text: await response.text() });
    } catch {
      this.#deliveries.push({ id, event, sentAt, status: undefined, text: "" });
    }
  }
}
