/**
 * Which names git takes for a branch. Asked before a new one reaches any command line.
 *
 * @module
 */

/** Longest name in bytes: a ref is a file, and a file name ends at 255. */
const NAME_BYTES_MAX = 200;

/** Says whether a name may be given to a new branch: the rules of git-check-ref-format(1), and no control characters. */
export function isBranchName(name: string): boolean {
  if (name === "" || Buffer.byteLength(name) > NAME_BYTES_MAX || name === "@" || name === "HEAD") return false;
  if (name.startsWith("-") || name.endsWith(".") || name.includes("..") || name.includes("@{")) return false;
  if (/[\p{C} ~^:?*[\\]/u.test(name)) return false;
  return name.split("/").every((part) => part !== "" && !part.startsWith(".") && !part.endsWith(".lock"));
}
