/**
 * Lets those who want to know the same thing at the same time share one look at it: when 500 connections end at once, the
 * processes of their environment are read twice and not 500 times.
 *
 * @module
 */
import { makeOneAtATime } from "../../base/one-at-a-time.ts";

/**
 * Makes a `look` that is shared by all who ask for a key before it begins. Looks at one key follow one another, so nobody
 * gets what was seen before they asked.
 */
export function makeShared<Seen>(look: (key: string) => Promise<Seen>): (key: string) => Promise<Seen> {
  const queue = makeOneAtATime();
  const waiting = new Map<string, Promise<Seen>>();
  return (key) => {
    const known = waiting.get(key);
    if (known !== undefined) return known;
    const mine = queue(key, () => {
      waiting.delete(key);
      return look(key);
    });
    waiting.set(key, mine);
    return mine;
  };
}
