/**
 * Nobody acts unrecorded: a session waits until the audit log has it. A disk that refuses is not a reason to leave people
 * without a word, or for ever.
 *
 * Called by `connection.ts` alone.
 *
 * @module
 */
import { Fault } from "../base/fault.ts";
import { untilFirst } from "../base/until-first.ts";
import type { AuditEvent } from "../wire/audit.ts";
import type { GatewayDeps } from "./ports.ts";

/** After so long the waiting person is told why, in milliseconds (guess: a busy disk takes some hundred). */
const TELL_MS = 1_000;
/** After so long they are refused, in milliseconds (guess: the time that clients wait for a login). */
const LATEST_MS = 10_000;

/**
 * Records an event and resolves when it is on disk.
 *
 * @param signal ends the waiting; what was recorded stays so
 * @throws {Fault} `state.unwritable` when it takes too long
 */
export async function untilRecorded(
  { audit, clock }: Pick<GatewayDeps, "audit" | "clock">,
  event: AuditEvent,
  showLine: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const told = "the audit log cannot be written at the moment, and nobody gets in unrecorded";
  if (audit.isBehind) throw new Fault("state.unwritable", "Cannot admit: too much waits for the audit log", { told });
  const quietly = clock.after(TELL_MS, () => showLine("slipway: waiting for the audit log, which cannot be written …"));
  const recorded = audit.append(event);
  try {
    const ending = await untilFirst({
      recorded: () => recorded,
      late: (race) => clock.sleep(LATEST_MS, AbortSignal.any([race, signal])),
    });
    if (ending === "recorded") return;
  } finally {
    quietly();
  }
  throw new Fault("state.unwritable", `Cannot admit: the audit log took nothing for ${LATEST_MS} ms`, { told });
}
