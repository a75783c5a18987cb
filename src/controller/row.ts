/**
 * An environment as the lobby lists it.
 *
 * @module
 */
import { phaseOf } from "../policy/lifecycle.ts";
import type { Place as PlaceKind } from "../policy/unheld-properties.ts";
import type { EnvironmentRecord } from "../store/environments.ts";
import type { EnvironmentRow } from "../wire/lobby.ts";
import { conditionOf } from "./conditions.ts";
import { readDefinition } from "./definition.ts";
import type { Entry } from "./entries.ts";

/** An environment, what its person is called now, and what it runs on. */
export interface Listed {
  readonly record: EnvironmentRecord;
  readonly person: string;
  readonly place: PlaceKind;
}

/** Makes the row of a recorded environment, with what is held of it in memory if anything. */
export function rowOf({ record, person, place }: Listed, entry: Entry | undefined, now: number): EnvironmentRow {
  const { login, repositoryName: repository, branch, power, createdAt, lastActiveAt } = record;
  const definition = entry?.live?.definition ?? readDefinition(record.definition, record, place).definition;
  const sessionCount = entry?.sessions.size ?? 0;
  const ports = new Set([...definition.slipway.ports, ...definition.forwardPorts]);
  const wasUsed = sessionCount > 0 || lastActiveAt > createdAt;
  const facts = {
    desired: record.desired,
    inventoryCount: record.inventory.length,
    provisionedAt: conditionOf(record.conditions, "CheckedOut")?.at,
    firstUseAt: wasUsed ? lastActiveAt : undefined,
    // The gateway does not tell keystrokes yet, so whoever is connected counts as working.
    lastActivityAt: sessionCount > 0 ? now : lastActiveAt,
  };
  return {
    login,
    person,
    repository,
    branch,
    phase: phaseOf(facts, definition.slipway.tier, now),
    power,
    sessionCount,
    createdAt: new Date(createdAt).toISOString(),
    lastActiveAt: new Date(lastActiveAt).toISOString(),
    ...(entry?.diskBytes === undefined ? {} : { diskBytes: entry.diskBytes }),
    ports: [...ports],
    ...(place === "kubernetes" ? { cluster: record.cluster } : {}),
  };
}
