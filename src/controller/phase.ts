/**
 * Which of the six public words an environment is in. Derived whenever it is asked for, never stored.
 *
 * @module
 */
import type { EnvironmentRecord } from "../store/environments.ts";
import { conditionOf } from "./conditions.ts";

/** `destroyed` has no record, so only whoever watched an environment end says it. */
export type Phase = "pending" | "ready" | "active" | "idle" | "expiring" | "destroyed";

/**
 * Says the phase of a recorded environment with so many sessions.
 *
 * pending: its files are being made · ready: made and never used · active: somebody is connected · idle: nobody is ·
 * expiring: it is being taken down.
 */
export function phaseOf(record: EnvironmentRecord, sessionCount: number): Exclude<Phase, "destroyed"> {
  if (record.desired === "absent") return "expiring";
  if (conditionOf(record.conditions, "CheckedOut")?.status !== "true") return "pending";
  if (sessionCount > 0) return "active";
  return record.lastActiveAt > record.createdAt ? "idle" : "ready";
}
