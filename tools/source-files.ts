/**
 * Lists our own files for the checks of this folder.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";

/** The root of the project. */
export const ROOT = join(import.meta.dirname, "..");

/** Paths of the TypeScript files below `folder`, relative to `root`, sorted, tests included. */
export function sourceFiles(folder = "src", root = ROOT): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => join(folder, path))
    .sort();
}

/** Prints complaints, or `allWell` when there are none, and sets the exit code. For the `main` of a check. */
export function conclude(complaints: readonly string[], allWell: string): void {
  console.log(complaints.length === 0 ? allWell : complaints.join("\n"));
  process.exitCode = complaints.length === 0 ? 0 : 1;
}
