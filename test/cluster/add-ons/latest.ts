/**
 * Doing something about the newest state only: while it is being done, newer states replace each other.
 *
 * @module
 */

/** Returns a function to call with each state. Runs of `act` never overlap; one that fails is told in the log. */
export function latest<State = undefined>(act: (state: State) => Promise<void>): (state: State) => void {
  let next: { readonly state: State } | undefined;
  let isActing = false;
  const run = async (): Promise<void> => {
    isActing = true;
    while (next !== undefined) {
      const { state } = next;
      next = undefined;
      try {
        await act(state);
      } catch (error) {
        process.stderr.write(`${new Date().toISOString()} ${error instanceof Error ? error.stack : String(error)}\n`);
      }
    }
    isActing = false;
  };
  return (state) => {
    next = { state };
    if (!isActing) void run();
  };
}

/** Applies an object again and again until it is there. */
export async function insist(act: () => Promise<void>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await act();
      return;
    } catch (error) {
      process.stderr.write(`${new Date().toISOString()} ${String(error)}\n`);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}
