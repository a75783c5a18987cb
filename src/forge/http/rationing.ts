/**
 * Who may send a request now, where a forge rations them: a queue by priority, then age.
 *
 * Used by `forge-http.ts` alone, which tells what the forge's answers said. It sends nothing, and knows no forge. Times
 * are those of `Clock.elapsed()`, so that a clock set anew neither frees nor blocks requests.
 *
 * A *lane* is what a forge counts by itself: one token, or one installation of an app. Budgets belong to lanes; the
 * slots, the pace and the pauses are of the whole forge.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { Fault } from "../../base/fault.ts";
import type { Budget, Priority } from "../forge-client.ts";

export interface RationingLimits {
  /** Requests under way at once. GitHub allows about 100 to all who use a token: rest "Rate limits", secondary. @default 10 */
  readonly concurrentMax: number;
  /** Points a second in the long run; GitHub allows 900 a minute, which is 15. @default 12 */
  readonly pointsPerSecond: number;
  /** Points that may be spent at once after a quiet time; 60 s of pace and this stay below 900. @default 100 */
  readonly burstPoints: number;
}

/** What an answer said of the budget of its lane. */
export interface Rate {
  readonly limit: number;
  readonly remaining: number;
  /** Until it is full again. */
  readonly resetMs: number;
}

export interface Wanted {
  readonly priority: Priority;
  readonly lane: string;
  /** What it costs: 1 for a read, 5 for a write at GitHub. */
  readonly points: number;
  /** Method and path, for messages. */
  readonly source: string;
  readonly signal: AbortSignal;
}

/** In the order in which they are served, with the share of a lane's budget and of the slots that each must leave. */
const PRIORITIES: readonly { readonly priority: Priority; readonly reserve: number; readonly slotReserve: number }[] = [
  { priority: "login", reserve: 0, slotReserve: 0 },
  { priority: "live", reserve: 0.05, slotReserve: 0.2 },
  { priority: "background", reserve: 0.2, slotReserve: 0.4 },
];

/** Somebody waits for a login and for a live session's answer: rather than longer than this they get none at once. */
const PATIENCE_MS = 60_000;

/** No forge rations by more than the hour; what asks for longer waits is a broken clock or header. */
const WAIT_MAX_MS = 3_600_000;

interface Waiting extends Wanted {
  readonly order: number;
  readonly resolve: (release: () => void) => void;
  readonly reject: (error: unknown) => void;
}

interface Lane {
  /** As last heard; `undefined` before the first answer, and where the forge rations none. */
  rate: { limit: number; remaining: number; resetAtMs: number } | undefined;
  underWayCount: number;
  readonly waiting: Readonly<Record<Priority, Set<Waiting>>>;
}

export class Rationing {
  readonly #limits: RationingLimits;
  readonly #clock: Clock;
  readonly #lanes = new Map<string, Lane>();
  #underWayCount = 0;
  #points: number;
  #pointsAtMs: number;
  #pausedUntilMs = 0;
  #orderNext = 0;
  #cancelAlarm: (() => void) | undefined;

  constructor(limits: RationingLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#points = limits.burstPoints;
    this.#pointsAtMs = clock.elapsed();
  }

  /**
   * Waits until a request may be sent.
   *
   * @returns a function to be called once it is over
   * @throws {Fault} `forge.limited` when the signal aborts first, or at once when somebody would wait for over 60 s
   */
  turn(wanted: Wanted): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#drop(waiting, tooLong(wanted, "its time was over before its turn came", wanted.signal.reason));
      };
      const settle = (): void => wanted.signal.removeEventListener("abort", abort);
      const waiting: Waiting = {
        ...wanted,
        order: this.#orderNext++,
        resolve: (release) => {
          settle();
          resolve(release);
        },
        reject: (error) => {
          settle();
          reject(error instanceof Error ? error : new Error("Cannot take a turn", { cause: error }));
        },
      };
      this.#lane(wanted.lane).waiting[wanted.priority].add(waiting);
      wanted.signal.addEventListener("abort", abort, { once: true });
      if (wanted.signal.aborted) abort();
      else this.#serve();
    });
  }

  /** Takes in what an answer said of its lane. Answers may come in another order than they were made. */
  learn(name: string, rate: Rate): void {
    const lane = this.#lane(name);
    const resetAtMs = this.#clock.elapsed() + bounded(rate.resetMs);
    const known = lane.rate;
    // Both forges that tell a reset tell it in whole seconds: what differs by less is the same period.
    const isSamePeriod = known !== undefined && Math.abs(resetAtMs - known.resetAtMs) < 2_000;
    const isOver = known !== undefined && known.resetAtMs <= this.#clock.elapsed();
    if (known !== undefined && !isSamePeriod && !isOver && resetAtMs < known.resetAtMs) return;
    const remaining = isSamePeriod ? Math.min(rate.remaining, known.remaining) : rate.remaining;
    lane.rate = { limit: rate.limit, remaining, resetAtMs };
    this.#serve();
  }

  /** Sends nothing for `ms`, as a secondary limit asks. */
  pause(ms: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#clock.elapsed() + bounded(ms));
    this.#serve();
  }

  /** The budget of the lane that has the least left; `undefined` while none is known. */
  get budget(): Budget | undefined {
    const now = this.#clock.elapsed();
    const budgets = [...this.#lanes.values()].flatMap(({ rate }) => (rate === undefined ? [] : [rate]));
    const least = budgets
      .map((rate) => ({ ...rate, remaining: rate.resetAtMs <= now ? rate.limit : rate.remaining }))
      .reduce<(typeof budgets)[number] | undefined>(
        (least, rate) => (least === undefined || shareOf(rate) < shareOf(least) ? rate : least),
        undefined,
      );
    if (least === undefined) return undefined;
    const resetAt = this.#clock.now() + Math.max(0, least.resetAtMs - now);
    return { limit: least.limit, remaining: least.remaining, resetAt };
  }

  #lane(name: string): Lane {
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const made: Lane = {
      rate: undefined,
      underWayCount: 0,
      waiting: { login: new Set(), live: new Set(), background: new Set() },
    };
    this.#lanes.set(name, made);
    return made;
  }

  /** Lets go whoever may, refuses who would wait too long, and looks again when time alone changes anything. */
  #serve(): void {
    this.#cancelAlarm?.();
    this.#cancelAlarm = undefined;
    this.#fillPoints();
    let lookAgainMs = Number.POSITIVE_INFINITY;
    for (const { priority, reserve, slotReserve } of PRIORITIES) {
      this.#refuseImpatient(priority, reserve);
      const slots = Math.max(1, Math.floor(this.#limits.concurrentMax * (1 - slotReserve)));
      const { waitMs, isPaced } = this.#serveOf(priority, reserve, slots);
      lookAgainMs = Math.min(lookAgainMs, waitMs);
      if (isPaced) break; // whoever comes after must not take the points that this one waits for
    }
    if (lookAgainMs < Number.POSITIVE_INFINITY) {
      this.#cancelAlarm = this.#clock.after(Math.ceil(lookAgainMs), () => this.#serve());
    }
  }

  /** Lets go all of a priority that may. Without a wait it is the end of a request that changes something. */
  #serveOf(priority: Priority, reserve: number, slots: number): { waitMs: number; isPaced: boolean } {
    for (;;) {
      const { waiting, blockedMs } = this.#next(priority, reserve);
      if (waiting === undefined) return { waitMs: blockedMs, isPaced: false };
      if (this.#underWayCount >= slots) return { waitMs: Number.POSITIVE_INFINITY, isPaced: false };
      const pointsMs = this.#untilPoints(waiting.points);
      if (pointsMs > 0) return { waitMs: pointsMs, isPaced: true };
      this.#start(waiting);
    }
  }

  /** The oldest of a priority whose lane may send now, or how long until the first lane of the others may. */
  #next(priority: Priority, reserve: number): { waiting: Waiting | undefined; blockedMs: number } {
    let waiting: Waiting | undefined;
    let blockedMs = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes.values()) {
      const [first] = lane.waiting[priority];
      if (first === undefined) continue;
      const laneMs = this.#blockedMs(lane, reserve);
      if (laneMs > 0) blockedMs = Math.min(blockedMs, laneMs);
      else if (waiting === undefined || first.order < waiting.order) waiting = first;
    }
    return { waiting, blockedMs };
  }

  /** How long a pause or a spent budget keeps a lane from sending. */
  #blockedMs(lane: Lane, reserve: number): number {
    const now = this.#clock.elapsed();
    const pauseMs = Math.max(0, this.#pausedUntilMs - now);
    const { rate } = lane;
    if (rate === undefined || rate.resetAtMs <= now) return pauseMs;
    // Those under way may each cost one, which no answer has told yet.
    const isSpent = rate.remaining - lane.underWayCount <= rate.limit * reserve;
    return isSpent ? Math.max(pauseMs, rate.resetAtMs - now) : pauseMs;
  }

  #refuseImpatient(priority: Priority, reserve: number): void {
    if (priority === "background") return;
    for (const lane of this.#lanes.values()) {
      const waitMs = this.#blockedMs(lane, reserve);
      if (waitMs <= PATIENCE_MS) continue;
      for (const waiting of lane.waiting[priority]) {
        lane.waiting[priority].delete(waiting);
        waiting.reject(tooLong(waiting, `requests are rationed for ${Math.ceil(waitMs / 1_000)} s more`));
      }
    }
  }

  #start(waiting: Waiting): void {
    const lane = this.#lane(waiting.lane);
    lane.waiting[waiting.priority].delete(waiting);
    lane.underWayCount += 1;
    this.#underWayCount += 1;
    this.#points -= waiting.points;
    let isOver = false;
    waiting.resolve(() => {
      if (isOver) throw new Error("Cannot end a turn: it is over already");
      isOver = true;
      lane.underWayCount -= 1;
      this.#underWayCount -= 1;
      this.#serve();
    });
  }

  #drop(waiting: Waiting, error: Error): void {
    this.#lane(waiting.lane).waiting[waiting.priority].delete(waiting);
    waiting.reject(error);
    this.#serve();
  }

  #fillPoints(): void {
    const now = this.#clock.elapsed();
    const gained = ((now - this.#pointsAtMs) / 1_000) * this.#limits.pointsPerSecond;
    this.#points = Math.min(this.#limits.burstPoints, this.#points + gained);
    this.#pointsAtMs = now;
  }

  /** A request that costs more than there can ever be goes when there is all there can be. */
  #untilPoints(points: number): number {
    const missing = Math.min(points, this.#limits.burstPoints) - this.#points;
    return missing <= 1e-9 ? 0 : (missing / this.#limits.pointsPerSecond) * 1_000;
  }
}

function tooLong({ source }: Wanted, why: string, cause?: unknown): Fault {
  return new Fault("forge.limited", `Cannot ask ${source}: ${why}`, { cause });
}

function shareOf({ limit, remaining }: { readonly limit: number; readonly remaining: number }): number {
  return limit === 0 ? 0 : remaining / limit;
}

function bounded(ms: number): number {
  return Math.min(Math.max(0, ms), WAIT_MAX_MS);
}
