/**
 * Paths of requests, with names that others chose in them.
 *
 * @module
 */
import { Fault } from "../../base/fault.ts";

/**
 * Builds a path, each value in it one segment whatever characters it has: ``pathOf`/repos/${owner}/${name}` ``.
 *
 * @throws {Fault} `forge.unreached` for a value that can be no segment: empty, `.` and `..` would ask for something else
 */
export function pathOf(parts: TemplateStringsArray, ...values: readonly string[]): string {
  return parts.reduce((path, part, index) => `${path}${segmentOf(values[index - 1] ?? "")}${part}`);
}

function segmentOf(value: string): string {
  if (/^\.{0,2}$/.test(value)) {
    throw new Fault("forge.unreached", `Cannot ask for "${value}": no account or repository can be called that`);
  }
  // What encodeURIComponent leaves of characters that a path may have is harmless; lone surrogates make it throw.
  return encodeURIComponent(value.toWellFormed());
}
