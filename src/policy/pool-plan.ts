/**
 * What a pool needs next: which of its members have to go, and how many are missing.
 *
 * Called by `controller/pools/` at every look; from the same facts it always says the same, so that a look after a crash
 * goes on where the one before was.
 *
 * @module
 */

/** As much of a member as is decided by; those that are claimed or on their way out are nobody's business here. */
export interface PlannedMember {
  readonly id: string;
  readonly version: string;
  readonly state: "filling" | "ready" | "failed";
  /** Epoch ms. */
  readonly createdAt: number;
}

/** Failures of one version in a row. */
export interface PoolFailures {
  readonly version: string;
  readonly failedCount: number;
  /** Epoch ms of the last. */
  readonly failedAt: number;
}

export interface PoolFacts {
  readonly wanted: number;
  /** What members are made from now; `undefined` while nobody can say. */
  readonly version: string | undefined;
  readonly members: readonly PlannedMember[];
  /** Ids of those that this process is making. */
  readonly making: ReadonlySet<string>;
  readonly failures: PoolFailures | undefined;
}

export interface PoolPlan {
  /** In the order in which they go. */
  readonly retire: readonly { readonly id: string; readonly because: string }[];
  readonly missing: number;
}

/** So many failures in a row are no accident (guess). */
const FAILURES_MAX = 3;

/** What kept a pool from being filled may be mended by somebody who does not know of the pool (guess). */
const PAUSE_MS = 10 * 60_000;

/** Says until when a pool is paused, in epoch ms; `undefined` when it is not. Another version begins anew. */
export function pausedUntil(
  failures: PoolFailures | undefined,
  version: string | undefined,
  now: number,
): number | undefined {
  if (failures === undefined || failures.failedCount < FAILURES_MAX) return undefined;
  if (version !== undefined && version !== failures.version) return undefined;
  const until = failures.failedAt + PAUSE_MS;
  // A clock that was set back pauses no pool for longer.
  return now < until && now >= failures.failedAt - PAUSE_MS ? until : undefined;
}

/** Says what a pool needs. */
export function planPool({ wanted, version, members, making, failures }: PoolFacts): PoolPlan {
  const retire: { id: string; because: string }[] = [];
  const kept: PlannedMember[] = [];
  // Only the last failure is worth a look: it belongs to the reason that people are told.
  const shown = members
    .filter(({ state }) => state === "failed" && failures !== undefined)
    .reduce<PlannedMember | undefined>(
      (last, one) => (last === undefined || isYounger(one, last) ? one : last),
      undefined,
    );
  for (const member of members) {
    const { id } = member;
    if (version !== undefined && member.version !== version) retire.push({ id, because: "it is of an old version" });
    else if (member.state === "failed") {
      if (member !== shown) retire.push({ id, because: "it failed" });
    } else if (member.state === "filling" && !making.has(id)) {
      retire.push({ id, because: "the service ended while it was made" });
    } else kept.push(member);
  }
  const surplus = kept.toSorted(firstToGo).slice(0, Math.max(0, kept.length - wanted));
  retire.push(...surplus.map(({ id }) => ({ id, because: "the pool has too many" })));
  const missing = version === undefined ? 0 : Math.max(0, wanted - kept.length);
  return { retire, missing };
}

function isYounger(one: PlannedMember, other: PlannedMember): boolean {
  return one.createdAt === other.createdAt ? one.id > other.id : one.createdAt > other.createdAt;
}

/** Those that are not done yet, the youngest first; then the oldest, which have the most to catch up with. */
function firstToGo(one: PlannedMember, other: PlannedMember): number {
  if (one.state !== other.state) return one.state === "filling" ? -1 : 1;
  return isYounger(one, other) === (one.state === "filling") ? -1 : 1;
}
