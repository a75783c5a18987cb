/**
 * The conditions of an environment as a small map by type.
 *
 * @module
 */
import type { ConditionType, EnvironmentCondition } from "../wire/environment.ts";

/** Finds a condition by its type. */
export function conditionOf(
  conditions: readonly EnvironmentCondition[],
  type: ConditionType,
): EnvironmentCondition | undefined {
  return conditions.find((condition) => condition.type === type);
}

/** Makes the conditions with one set, in place of what was said of its type. */
export function withCondition(
  conditions: readonly EnvironmentCondition[],
  condition: EnvironmentCondition,
): readonly EnvironmentCondition[] {
  return [...conditions.filter(({ type }) => type !== condition.type), condition];
}
