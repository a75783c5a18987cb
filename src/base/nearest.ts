/**
 * The words that someone who mistyped may have meant. Used wherever a name is not known: settings, definitions, logins.
 *
 * @module
 */

export interface NearestOptions {
  readonly atMostCount: number;
  /** Words farther away than this are not named. @default none is too far */
  readonly atMostDistance?: number;
}

/** Lists the known words nearest to `word`, nearest first, then by name. Case does not count. */
export function nearestTo(word: string, known: Iterable<string>, options: NearestOptions): string[] {
  const found: { word: string; distance: number }[] = [];
  let cutoff = options.atMostDistance ?? Number.MAX_SAFE_INTEGER;
  for (const candidate of known) {
    const distance = distanceOf(word.toLowerCase(), candidate.toLowerCase(), cutoff);
    if (distance > cutoff) continue;
    found.push({ word: candidate, distance });
    found.sort((a, b) => a.distance - b.distance || (a.word < b.word ? -1 : 1));
    if (found.length > options.atMostCount) found.pop();
    // Only what beats or equals the worst one kept is worth measuring to the end.
    if (found.length === options.atMostCount) cutoff = Math.min(cutoff, found.at(-1)?.distance ?? cutoff);
  }
  return found.map((entry) => entry.word);
}

/** Names the one known word that `word` is a slip of the hand for, if any: a third of its letters may be off. */
export function meantBy(word: string, known: Iterable<string>): string | undefined {
  return nearestTo(word, known, { atMostCount: 1, atMostDistance: Math.max(1, Math.floor(word.length / 3)) })[0];
}

/**
 * Counts the letters to insert, remove, replace or swap with their neighbour to make `to` out of `from` (optimal string
 * alignment). Stops counting at `atMost + 1`, so that a hostile list of long names stays cheap.
 */
export function distanceOf(from: string, to: string, atMost = Number.MAX_SAFE_INTEGER): number {
  if (Math.abs(from.length - to.length) > atMost) return atMost + 1;
  let before: number[] = [];
  let above = Array.from({ length: to.length + 1 }, (_, column) => column);
  let leastAbove = 0;
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    let least = row;
    for (let column = 1; column <= to.length; column++) {
      const replaced = at(above, column - 1) + (from[row - 1] === to[column - 1] ? 0 : 1);
      let cost = Math.min(at(above, column) + 1, at(current, column - 1) + 1, replaced);
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        cost = Math.min(cost, at(before, column - 2) + 1);
      }
      current.push(cost);
      least = Math.min(least, cost);
    }
    // A swap reaches back two rows, so both have to be beyond the limit.
    if (least > atMost && leastAbove > atMost) return atMost + 1;
    [before, above, leastAbove] = [above, current, least];
  }
  return Math.min(at(above, to.length), atMost + 1);
}

function at(costs: readonly number[], column: number): number {
  return costs[column] ?? 0;
}
