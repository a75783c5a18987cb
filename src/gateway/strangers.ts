/**
 * Limits on connections that have not proved a key: how many there may be at once, in all and from one address, and
 * how long an address that keeps failing must stay away. When all places are taken, whoever takes the most gives one
 * up, so that a few addresses cannot close the door to everybody else. Memory is bounded by `ADDRESSES_MAX`.
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
  /** Those present, by how each is turned away; the oldest first. */
  readonly present: Set<() => void>;
  /** Failed connections in a row. */
  failures: number;
  /** Until when nothing is taken from it. Times here are those of `Clock.elapsed()`: a clock set anew keeps nobody away. */
  awayUntilMs: number;
  lastSeenAtMs: number;
}

/** Failed connections an address has free; a person with the wrong key tries a few times. */
const FREE_FAILURES = 10;
/** First wait after that; doubles with each failure. */
const FIRST_WAIT_MS = 1_000;
/** Behind one address may be an office (guess). */
const LONGEST_WAIT_MS = 60_000;
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

  /**
   * Lets a connection of `address` in as a stranger, or says why not.
   *
   * @param turnAway called when its place is needed more by somebody else; it has left by then
   */
  enter(address: string, turnAway: () => void = () => {}): Stranger {
    const key = networkOf(address);
    const record = this.#recordOf(key);
    const nowMs = this.#clock.elapsed();
    record.lastSeenAtMs = nowMs;
    if (record.awayUntilMs > nowMs) return { admitted: false, reason: "backing-off" };
    if (record.present.size >= this.#limits.perAddress) return { admitted: false, reason: "too-many-from-address" };
    if (this.#present >= this.#limits.total && !this.#makeRoom(record)) return { admitted: false, reason: "too-many" };
    const leaving = (): void => {
      turnAway();
    };
    record.present.add(leaving);
    this.#present++;
    let hasLeft = false;
    return {
      admitted: true,
      leave: (outcome) => {
        if (hasLeft) return;
        hasLeft = true;
        if (record.present.delete(leaving)) this.#present--;
        this.#note(record, outcome);
      },
    };
  }

  /** Turns away the oldest stranger of the address that has the most, if it has more than the newcomer's. */
  #makeRoom(newcomer: AddressRecord): boolean {
    const most = [...this.#byAddress.values()].reduce((a, b) => (b.present.size > a.present.size ? b : a), newcomer);
    const [oldest] = most.present;
    if (oldest === undefined || most.present.size <= newcomer.present.size) return false;
    most.present.delete(oldest);
    this.#present--;
    oldest();
    return true;
  }

  #note(record: AddressRecord, outcome: "identified" | "failed" | "quiet"): void {
    if (outcome === "identified") {
      record.failures = 0;
      record.awayUntilMs = 0;
    } else if (outcome === "failed") {
      record.failures++;
      const over = record.failures - FREE_FAILURES;
      if (over > 0)
        record.awayUntilMs = this.#clock.elapsed() + Math.min(FIRST_WAIT_MS * 2 ** (over - 1), LONGEST_WAIT_MS);
    }
  }

  #recordOf(key: string): AddressRecord {
    const known = this.#byAddress.get(key);
    if (known !== undefined && (known.present.size > 0 || this.#clock.elapsed() - known.lastSeenAtMs < FORGET_MS))
      return known;
    if (this.#byAddress.size >= ADDRESSES_MAX) this.#forget();
    const fresh = { present: new Set<() => void>(), failures: 0, awayUntilMs: 0, lastSeenAtMs: this.#clock.elapsed() };
    this.#byAddress.set(key, fresh);
    return fresh;
  }

  /** Makes room: the records that matter least go first. */
  #forget(): void {
    const idle = [...this.#byAddress].filter(([, record]) => record.present.size === 0);
    idle.sort(([, a], [, b]) => a.awayUntilMs - b.awayUntilMs || a.lastSeenAtMs - b.lastSeenAtMs);
    for (const [key] of idle.slice(0, ADDRESSES_MAX / 10)) this.#byAddress.delete(key);
  }
}

/** What counts as one address: an IPv4 address, also one written as IPv6, or the /64 that one IPv6 subscriber has. */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const groups = groupsOf(address);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return groups
      .slice(6)
      .flatMap((group) => [group >> 8, group & 0xff])
      .join(".");
  }
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(":")}::/64`;
}

/** The eight numbers of an IPv6 address; its end may be written as IPv4 (RFC 4291 section 2.2). */
function groupsOf(address: string): number[] {
  const hex = (address.split("%")[0] ?? "").replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [left = [], right = []] = hex.split("::").map((half) => half.split(":").filter((group) => group !== ""));
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0");
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16));
}
