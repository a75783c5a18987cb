/**
 * For what can end in several ways: a session, a connection, a process of ours.
 *
 * It races named reasons, so that whoever ends a thing can say why, and says it once. It cleans up nothing but the
 * race itself: what to do about an ending is the caller's.
 *
 * @module
 */

/**
 * Waits until the first of `reasons` comes true and returns its name; the others are told to stop by their signal.
 *
 * All start at once, in the order written, which also settles a tie. A reason that rejects before any came true
 * rejects the whole; what the others do after the first, rejecting included, changes nothing. It does not wait for
 * them: a reason lets go of its timers and listeners when its signal aborts, or they outlive the race. To take part in
 * a longer signal, a reason of its own waits for it.
 */
export async function untilFirst<Reason extends string>(
  reasons: Readonly<Record<Reason, (signal: AbortSignal) => Promise<unknown>>>,
): Promise<Reason> {
  const race = new AbortController();
  const runners: Promise<Reason>[] = [];
  for (const reason in reasons) runners.push(named(reason, reasons[reason], race.signal));
  try {
    return await Promise.race(runners);
  } finally {
    race.abort();
  }
}

async function named<Reason extends string>(
  reason: Reason,
  wait: (signal: AbortSignal) => Promise<unknown>,
  signal: AbortSignal,
): Promise<Reason> {
  await wait(signal);
  return reason;
}
