/**
 * The line for somebody who is let in by the last good answer of a forge that cannot be asked.
 *
 * Shown by the gateway and by the controller, whoever of them decides so. Pure.
 *
 * @module
 */

/** Makes the line. @param at when the forge said so, epoch ms */
export function staleLine(forge: string, at: number): string {
  return `slipway: ${forge} cannot be reached; you are let in by what it said at ${new Date(at).toISOString()}`;
}
