/**
 * Tells whether files are what they were: for keeping images by what they are made of.
 *
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** Hashes names, kinds, modes and contents of everything at `paths` below `root`. */
export function hashFiles(root: string, paths: readonly string[]): string {
  const hash = createHash("sha256");
  for (const path of paths) add(hash, root, path);
  return hash.digest("hex");
}

function add(hash: Hash, root: string, path: string): void {
  const whole = join(root, path);
  const stat = lstatSync(whole);
  hash.update(JSON.stringify([path, stat.mode]));
  if (stat.isDirectory()) {
    for (const name of readdirSync(whole).sort()) add(hash, root, join(path, name));
  } else {
    hash.update(
      stat.isSymbolicLink() ? readlinkSync(whole) : createHash("sha256").update(readFileSync(whole)).digest(),
    );
  }
}
