/**
 * For waiting, with a way out, on work that others wait for too.
 *
 * @module
 */

/**
 * Waits for a promise until `signal` aborts, then rejects with the reason of the signal. The work behind the promise goes
 * on, and if it fails later nobody needs to look.
 */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  promise.catch(() => undefined);
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => {
    aborted.reject(signal.reason instanceof Error ? signal.reason : new DOMException("Aborted", "AbortError"));
  };
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
