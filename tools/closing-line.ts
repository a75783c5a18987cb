/**
 * Ends a test run with what a person or a program looks for: why tests were skipped, each reason once with its count,
 * and then the plain last line `N passed, N failed, N skipped`.
 *
 * Made in `vitest.config.ts`, after vitest's own reporter. A file that fails before its first
 * test counts as one failure, and so does an error outside of any test.
 *
 * @module
 */
import type { Reporter, TestModule } from "vitest/node";

/** What a run came to. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Reason of a skip → how many tests gave it. */
  readonly reasons: ReadonlyMap<string, number>;
}

/** What the tally reads of a test; vitest's `TestCase` has it. */
export interface Outcome {
  readonly state: "passed" | "failed" | "skipped" | "pending";
  /** From `ctx.skip("needs root")`. */
  readonly note?: string | undefined;
}

/** Says why a test that gave no reason was skipped, so that it is noticed. */
const NO_REASON = "no reason given (use ctx.skip with a reason)";

/** Counts outcomes. One still pending when the run ends was never run, which is a failure. */
export function tallyOf(outcomes: Iterable<Outcome>, otherFailureCount = 0): Tally {
  let passed = 0;
  let failed = otherFailureCount;
  const reasons = new Map<string, number>();
  for (const { state, note } of outcomes) {
    if (state === "passed") passed += 1;
    else if (state === "skipped") reasons.set(note ?? NO_REASON, (reasons.get(note ?? NO_REASON) ?? 0) + 1);
    else failed += 1;
  }
  const skipped = [...reasons.values()].reduce((sum, count) => sum + count, 0);
  return { passed, failed, skipped, reasons };
}

/** Words a tally: the reasons, most frequent first, then the closing line. */
export function closingLines(tally: Tally): string[] {
  const reasons = [...tally.reasons].sort(([a, m], [b, n]) => n - m || a.localeCompare(b));
  return [
    ...reasons.map(([reason, count]) => `skipped ${count}: ${reason}`),
    `${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`,
  ];
}

/** The reporter itself. */
export class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const outcomes: Outcome[] = [];
    let broken = unhandledErrors.length;
    for (const module of modules) {
      const tests = [...module.children.allTests()].map((test) => test.result());
      const failedTest = tests.some((result) => result.state === "failed");
      if (!failedTest && !module.ok()) broken += 1; // failed to load, or in a hook
      for (const result of tests) {
        outcomes.push({ state: result.state, note: result.state === "skipped" ? result.note : undefined });
      }
    }
    process.stdout.write(`\n${closingLines(tallyOf(outcomes, broken)).join("\n")}\n`);
  }
}
