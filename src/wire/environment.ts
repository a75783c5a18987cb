/**
 * The parts of an environment's record that are stored as JSON: its conditions, the inventory of what exists outside
 * the record, and the text of the definition that it was last started from.
 *
 * Written by `controller/`, checked by `store/` on the way in and out.
 *
 * @module
 */
import { z } from "zod";

/**
 * Something that is or is not so about an environment, since `at` (epoch ms). A type occurs at most once.
 *
 * `CheckedOut`: its files are whole. A lifecycle command: `true` when it succeeded, `false` when it failed, absent while it
 * has not ended; `postStartCommand` is about the present start.
 */
const Condition = z.strictObject({
  type: z.enum(["CheckedOut", "onCreateCommand", "updateContentCommand", "postCreateCommand", "postStartCommand"]),
  status: z.enum(["true", "false"]),
  /** For people, when `status` alone does not say it. */
  message: z.string(),
  at: z.number(),
});

/**
 * One outside object. `intended` is written before the call that makes it, `present` after. While an environment is moved
 * there are two, of the same id: the one on another cluster than the record's is to go.
 */
const InventoryItem = z.strictObject({
  /** `sandbox`: everything on this machine for one environment id; `kubernetes`: its namespace. */
  type: z.enum(["sandbox", "kubernetes"]),
  id: z.string(),
  state: z.enum(["intended", "present"]),
  /** Where it is; the record's when absent. */
  cluster: z.string().exactOptional(),
});

/** The definition as it was read from the checkout: kept as text, so that a newer version of us reads it with newer eyes. */
const DefinitionText = z.strictObject({ path: z.string(), text: z.string() });

const Conditions = z.array(Condition);
const Inventory = z.array(InventoryItem);

export type EnvironmentCondition = Readonly<z.infer<typeof Condition>>;
export type ConditionType = EnvironmentCondition["type"];
export type InventoryEntry = Readonly<z.infer<typeof InventoryItem>>;
export type StoredDefinition = Readonly<z.infer<typeof DefinitionText>>;

/** The clusters, beside its own, on which there may be something of an environment. */
export function otherClusters({
  cluster,
  inventory,
}: {
  readonly cluster: string;
  readonly inventory: readonly InventoryEntry[];
}): string[] {
  return inventory.flatMap((item) => (item.cluster === undefined || item.cluster === cluster ? [] : [item.cluster]));
}

/** Checks the stored text of conditions. Throws a ZodError or SyntaxError. */
export function checkConditions(json: string): EnvironmentCondition[] {
  return Conditions.parse(JSON.parse(json));
}

/** Checks the stored text of an inventory. Throws a ZodError or SyntaxError. */
export function checkInventory(json: string): InventoryEntry[] {
  return Inventory.parse(JSON.parse(json));
}

/** Checks the stored text of a definition. Throws a ZodError or SyntaxError. */
export function checkStoredDefinition(json: string): StoredDefinition {
  return DefinitionText.parse(JSON.parse(json));
}
