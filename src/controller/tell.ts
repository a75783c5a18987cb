/**
 * Shows a line to whoever sits at a terminal inside an environment, as `wall` would. SSH itself has no way to speak to a
 * person in the middle of a session without taking from the far side's window.
 *
 * Called by `environments.ts` alone.
 *
 * @module
 */
import type { Context } from "./context.ts";
import type { Entries } from "./entries.ts";

/** Whoever cannot be told in this time is not told, in milliseconds (guess). */
const TELL_MS = 1_000;
/** Terminals belong to the environment's user, so no more than that is needed to write to them. */
const WRITE_TO_TERMINALS =
  'for terminal in /dev/pts/[0-9]*; do [ ! -w "$terminal" ] || printf "\\r\\nslipway: %s\\r\\n" "$SLIPWAY_TELL" >"$terminal"; done';

/** Shows `line` at every terminal of every environment that somebody is connected to. Never rejects. */
export async function tellEverybody({ runtime, clock, log }: Context, entries: Entries, line: string): Promise<void> {
  const late = new AbortController();
  const cancel = clock.after(TELL_MS, () => {
    late.abort();
  });
  const connected = entries.all().filter(({ sessions }) => sessions.size > 0);
  const told = await Promise.allSettled(
    connected.map(({ id }) => runtime.run(id, { shell: WRITE_TO_TERMINALS }, { SLIPWAY_TELL: line }, late.signal)),
  );
  cancel();
  const failed = told.filter(({ status }) => status === "rejected").length;
  if (failed > 0) log.warn("environments.not-told", { failed });
}
