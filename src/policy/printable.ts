/**
 * What a repository wrote, fit for warnings.
 *
 * @module
 */

/** Warnings go to terminals and logs; what a repository wrote comes into them short and without controls. */
export function printable(text: string): string {
  const safe = text.replace(/\p{C}/gu, "?");
  return safe.length > 60 ? `${safe.slice(0, 60)}…` : safe;
}
