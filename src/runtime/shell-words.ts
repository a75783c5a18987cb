/**
 * Writes values into text that a POSIX shell reads, so that each arrives byte for byte and none is ever read as code.
 *
 * Used for the small files that carry a person's values inside, where they are read after all privileges are dropped.
 * They never travel as arguments or variables of a privileged program: `LD_PRELOAD` of a person would be loaded by it.
 *
 * @module
 */

/** Quotes one word. POSIX shell, section 2.2.2: nothing is special between single quotes. */
export function quoteWord(value: string): string {
  if (value.includes("\0")) throw new Error("Cannot quote a word for the shell: it has a NUL");
  return `'${value.replaceAll("'", `'\\''`)}'`;
}

/** Says whether a shell can hold a variable of this name. */
export function isVariableName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** Makes `export` lines for the variables that a shell can hold; others are left out. */
export function makeExports(env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .filter(([name]) => isVariableName(name))
    .map(([name, value]) => `export ${name}=${quoteWord(value)}\n`)
    .join("");
}
