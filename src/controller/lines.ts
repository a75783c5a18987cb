/**
 * The lines that a person reads while they wait. They reach a terminal, so nothing in them may move its cursor.
 *
 * @module
 */

/** Makes a line about a step that is done: `slipway: checking out main … 38 ms`. */
export function stepLine(step: string, tookMs: number): string {
  return `${plainLine(`${step} …`)} ${durationOf(tookMs)}`;
}

/** Makes any other line. */
export function plainLine(text: string): string {
  return `slipway: ${text.replace(/\p{C}/gu, "?")}`;
}

/** Writes milliseconds up to ten seconds, then seconds: nobody compares 83,412 ms with anything. */
function durationOf(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
