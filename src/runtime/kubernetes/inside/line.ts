/**
 * How the programs of the toolbox are started and told what to do: the contract is `../inside.ts`.
 *
 * @module
 */
import type { Exec } from "../api/cluster-api.ts";

/** Starts a program in the target container of one environment. `mayStall` as in `ExecRequest`. */
export type StartProgram = (argv: readonly string[], options?: { readonly mayStall?: boolean }) => Promise<Exec>;

/** Makes the first line that a program of the toolbox reads. */
export function lineOf(text: string): string {
  return `${Buffer.from(text).toString("base64")}\n`;
}
