/**
 * What the clusters of a test run are called. Vitest runs files in threads of one process, whose number is the run's.
 *
 * @module
 */

/** The one that all tests share. */
export function runName(): string {
  return `test-${process.pid}`;
}

/** The one beside it, made by the first test that needs two. */
export function secondName(): string {
  return `${runName()}-two`;
}
