/**
 * Sees to it that a token for pushing ends with the right to push, not an hour later: what runs inside an environment
 * outlives its person's sessions, and may hold one.
 *
 * Called by `push-credentials.ts` for each token that is handed out. Kept in memory alone, as the tokens are: what a
 * service handed out before it ended lasts for its hour.
 *
 * @module
 */
import type { GitCredential } from "../forge/forge-client.ts";
import type { EnvironmentRecord } from "../store/environments.ts";
import type { Context } from "./context.ts";

/** After a try that failed; the last is no later than the token. Guesses. */
const WAITS_MS = [1_000, 5_000, 30_000, 120_000, 600_000];

/** Of one try. A guess. */
const TRY_MS = 15_000;

/**
 * Watches the right that a token rests on until it ends by itself, and has the forge end it when the right is gone.
 *
 * @param onLost called once when it is gone: the token is not to be handed out again
 */
export function guardToken(
  context: Pick<Context, "directory" | "clock" | "log">,
  { id: environment, person, repository }: Pick<EnvironmentRecord, "id" | "person" | "repository">,
  { revoke, expiresAt }: GitCredential,
  onLost: () => void,
): void {
  const { directory, clock, log } = context;
  if (revoke === undefined || expiresAt === undefined) return;
  const facts = { environment, person, repository };
  const unwatch = directory.watchPush(person, repository, () => {
    cancel();
    onLost();
    revokeInTime({ ...context, revoke, expiresAt }).then(
      (isRevoked) => (isRevoked ? log.info("push.revoked", facts) : log.warn("push.unrevoked", facts)),
      (error: unknown) => log.error("push.revoking-failed", error, facts),
    );
  });
  const cancel = clock.after(Math.max(0, expiresAt - clock.now()), unwatch);
}

interface Revoking extends Pick<Context, "clock" | "log"> {
  readonly revoke: (signal: AbortSignal) => Promise<void>;
  readonly expiresAt: number;
}

/** @returns whether the forge said so before the token ended by itself, or before nobody tried any more */
async function revokeInTime({ clock, log, revoke, expiresAt }: Revoking): Promise<boolean> {
  for (const waitMs of [...WAITS_MS, undefined]) {
    const late = new AbortController();
    const cancel = clock.after(TRY_MS, () => late.abort());
    try {
      await revoke(late.signal);
      return true;
    } catch (error) {
      log.debug("push.still-valid", { err: error });
    } finally {
      cancel();
    }
    if (waitMs === undefined || clock.now() + waitMs >= expiresAt) return false;
    await new Promise<void>((resolve) => clock.after(waitMs, resolve));
  }
  return false;
}
