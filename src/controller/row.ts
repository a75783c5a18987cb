/**
 * An environment as the lobby lists it.
 *
 * @module
 */
import type { EnvironmentRecord } from "../store/environments.ts";
import type { EnvironmentRow } from "../wire/lobby.ts";
import { readDefinition } from "./definition.ts";
import type { Entry } from "./entries.ts";
import { phaseOf } from "./phase.ts";

/** Makes the row of a recorded environment, with what is held of it in memory if anything. */
export function rowOf(record: EnvironmentRecord, entry: Entry | undefined): EnvironmentRow {
  const { login, person, repository, branch, power } = record;
  const definition = entry?.live?.definition ?? readDefinition(record.definition, record).definition;
  const sessionCount = entry?.sessions.size ?? 0;
  const ports = new Set([...definition.slipway.ports, ...definition.forwardPorts]);
  return {
    login,
    person,
    repository,
    branch,
    phase: phaseOf(record, sessionCount),
    power,
    sessionCount,
    createdAt: new Date(record.createdAt).toISOString(),
    lastActiveAt: new Date(record.lastActiveAt).toISOString(),
    ...(entry?.diskBytes === undefined ? {} : { diskBytes: entry.diskBytes }),
    ports: [...ports],
  };
}
