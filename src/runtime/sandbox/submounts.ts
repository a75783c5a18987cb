/**
 * What is mounted below the system folders of a root file system: a disk of its own at `/usr/local`, the files that
 * container engines put over those of `/etc`. No layer and no plain bind of `/usr` has it in it; and in namespaces of an
 * ordinary user the kernel refuses both, since they would show what lies beneath. mount_namespaces(7), "Restrictions"
 *
 * @module
 */
import { join, relative } from "node:path";

/** One of them, by its path inside. */
export interface Submount {
  readonly name: string;
  /** Where it is on this machine. */
  readonly path: string;
}

/** Reads `/proc/self/mountinfo` (proc(5)); the outer before what is mounted in it. Pure. */
export function findSubmounts(
  mountInfo: string,
  folders: readonly { readonly name: string; readonly path: string }[],
): Submount[] {
  const points = mountInfo.split("\n").map((line) => unescape(line.split(" ")[4] ?? ""));
  return [...new Set(points)].sort().flatMap((point) => {
    const folder = folders.find(({ path }) => point.startsWith(`${path}/`));
    return folder === undefined ? [] : [{ name: join(folder.name, relative(folder.path, point)), path: point }];
  });
}

function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
