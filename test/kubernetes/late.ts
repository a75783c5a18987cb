/**
 * Variables for a service to which all that is on its clusters was made an hour before it was: older than the half hour in
 * which nothing is cleared away that nobody recorded. What does it is `late-server.ts`.
 *
 * @module
 */
import { join } from "node:path";

export const LATE: Readonly<Record<string, string>> = {
  NODE_OPTIONS: `--import=${join(import.meta.dirname, "late-server.ts")}`,
  SLIPWAY_TEST_LATE_MS: String(3_600_000),
};
