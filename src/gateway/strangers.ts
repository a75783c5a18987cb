/**
 * Limits on connections that have not proved a key: how many there may be at once, in all and from one address, and
 * how long an address that keeps failing must stay away. Memory is bounded by `ADDRESSES_MAX`.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";

export interface StrangerLimits {
  readonly total: number;
  readonly perAddress: number;
}

export type Stranger =
  | { readonly admitted: true; readonly leave: (outcome: "identified" | "failed" | "quiet") => void }
  | { readonly admitted: false; readonly reason: "too-many" | "too-many-from-address" | "backing-off" };

interface AddressRecord {
  present: number;
  /** Failed connections in a row. */
  failures: number;
  /** Until when nothing is taken from it, epoch ms. */
  awayUntil: number;
  lastSeenAt: number;
}

/** Failed connections an address has free; a person with the wrong key tries a few times. */
const FREE_FAILURES = 10;
/** First wait after that; doubles with each failure. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 300_000;
/** An address that stayed quiet this long starts afresh. */
const FORGET_MS = 900_000;
const ADDRESSES_MAX = 10_000;

export class Strangers {
  readonly #limits: StrangerLimits;
  readonly #clock: Clock;
  readonly #byAddress = new Map<string, AddressRecord>();
  #present = 0;

  constructor(limits: StrangerLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  get count(): number {
    return this.#present;
  }

  /** Lets a connection of `address` in as a stranger, or says why not. */
  enter(address: string): Stranger {
    const key = networkOf(address);
    const record = this.#recordOf(key);
    const now = this.#clock.now();
    record.lastSeenAt = now;
    if (record.awayUntil > now) return { admitted: false, reason: "backing-off" };
    if (this.#present >= this.#limits.total) return { admitted: false, reason: "too-many" };
    if (record.present >= this.#limits.perAddress) return { admitted: false, reason: "too-many-from-address" };
    record.present++;
    this.#present++;
    let hasLeft = false;
    return {
      admitted: true,
      leave: (outcome) => {
        if (hasLeft) return;
        hasLeft = true;
        record.present--;
        this.#present--;
        this.#note(record, outcome);
      },
    };
  }

  #note(record: AddressRecord, outcome: "identified" | "failed" | "quiet"): void {
    if (outcome === "identified") {
      record.failures = 0;
      record.awayUntil = 0;
    } else if (outcome === "failed") {
      record.failures++;
      const over = record.failures - FREE_FAILURES;
      if (over > 0) record.awayUntil = this.#clock.now() + Math.min(FIRST_WAIT_MS * 2 ** (over - 1), LONGEST_WAIT_MS);
    }
  }

  #recordOf(key: string): AddressRecord {
    const known = this.#byAddress.get(key);
    if (known !== undefined && (known.present > 0 || this.#clock.now() - known.lastSeenAt < FORGET_MS)) return known;
    if (this.#byAddress.size >= ADDRESSES_MAX) this.#forget();
    const fresh = { present: 0, failures: 0, awayUntil: 0, lastSeenAt: this.#clock.now() };
    this.#byAddress.set(key, fresh);
    return fresh;
  }

  /** Makes room: the records that matter least go first. */
  #forget(): void {
    const idle = [...this.#byAddress].filter(([, record]) => record.present === 0);
    idle.sort(([, a], [, b]) => a.awayUntil - b.awayUntil || a.lastSeenAt - b.lastSeenAt);
    for (const [key] of idle.slice(0, ADDRESSES_MAX / 10)) this.#byAddress.delete(key);
  }
}

/** What counts as one address: an IPv4 address, or the /64 that one IPv6 subscriber has. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  if (!address.includes(":")) return address;
  const [head = "", tail = ""] = address.split("%")[0]?.split("::") ?? [];
  const left = head === "" ? [] : head.split(":");
  const right = tail === "" ? [] : tail.split(":");
  const groups = address.includes("::")
    ? [...left, ...Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0"), ...right]
    : left;
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}
