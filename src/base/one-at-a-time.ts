/**
 * Lets the acts on one environment follow one another, while those on others go on beside.
 *
 * @module
 */

/** Waits for the acts of this key begun before, then runs `act`. */
export type OneAtATime = <Result>(key: string, act: () => Promise<Result>) => Promise<Result>;

/** Makes a queue for each key that has anything to do. */
export function makeOneAtATime(): OneAtATime {
  const last = new Map<string, Promise<unknown>>();
  return async (key, act) => {
    const before = last.get(key) ?? Promise.resolve();
    const mine = before.then(act, act);
    const settled = mine.catch(() => {});
    last.set(key, settled);
    try {
      return await mine;
    } finally {
      if (last.get(key) === settled) last.delete(key);
    }
  };
}
