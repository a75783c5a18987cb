import { defineConfig } from "vitest/config";

import { ClosingLine } from "./tools/closing-line.ts";

/** Folders whose tests start real servers, clients and environments. */
const REAL = ["interop", "faults", "hostile", "access"].map((folder) => `test/${folder}/**/*.test.ts`);

export default defineConfig({
  test: {
    pool: "threads",
    testTimeout: 30_000,
    // Hooks start services and make environments, on machines with other work too.
    hookTimeout: 60_000,
    reporters: ["default", new ClosingLine()],
    projects: [
      {
        extends: true,
        test: {
          name: "code",
          include: ["src/**/*.test.ts", "test/**/*.test.ts", "tools/**/*.test.ts"],
          exclude: REAL,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        // Each of these files keeps a processor busy by itself, and what they measure needs the machine to be calm.
        test: { name: "real", include: REAL, maxWorkers: 2, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
