/**
 * Many things done some at a time.
 *
 * @module
 */

/** As many as the client of a cluster has connections. */
const AT_ONCE = 12;

/** Calls `act` for each, and resolves after all. The first failure ends it. */
export async function inParallel<Item>(items: Iterable<Item>, act: (item: Item) => Promise<void>): Promise<void> {
  const left = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = left.next(); next.done !== true; next = left.next()) await act(next.value);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
