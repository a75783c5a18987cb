/**
 * What `slip gc` tells, and prints with `--json`. Fields are only ever added.
 *
 * @module
 */
import { z } from "zod";

/** Something on a cluster that no record knows. */
export const GarbageRow = z.strictObject({
  id: z.string(),
  cluster: z.string(),
  /** By the cluster's own clock. */
  ageMs: z.number(),
  /** `removed`: it is going, or would be if it were not only asked about. */
  outcome: z.enum(["removed", "kept"]),
  because: z.string(),
});

export const GarbageReport = z.strictObject({
  rows: z.array(GarbageRow),
  /** Clusters that could not be looked at. */
  away: z.array(z.string()),
});

export type GarbageRow = Readonly<z.infer<typeof GarbageRow>>;
export type GarbageReport = Readonly<z.infer<typeof GarbageReport>>;
