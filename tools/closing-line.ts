/**
 * Ends a test run with what a person or a program looks for: why tests were skipped, each reason once with its count,
 * and then the plain last line `N passed, N failed, N skipped`.
 *
 * Made in `vitest.config.ts`, after vitest's own reporter. A file that fails before its first
 * test counts as one failure, and so does an error outside of any test.
 *
 * @module
 */
import type { Reporter, TestCase, TestModule, TestSuite } from "vitest/node";

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

/** Words a tally: notes, the reasons, most frequent first, then the closing line. */
export function closingLines(tally: Tally, notes: readonly string[] = []): string[] {
  const reasons = [...tally.reasons].sort(([a, m], [b, n]) => n - m || a.localeCompare(b));
  return [
    ...notes,
    ...reasons.map(([reason, count]) => `skipped ${count}: ${reason}`),
    `${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`,
  ];
}

/** The reporter itself. */
export class ClosingLine implements Reporter {
  readonly #notes: readonly string[];

  /** Takes what to say before the closing line whatever comes of the run, such as which tests were left out. */
  constructor(notes: readonly string[]) {
    this.#notes = notes;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const outcomes: Outcome[] = [];
    let otherFailureCount = unhandledErrors.length;
    for (const module of modules) {
      const ofModule = [...module.children.allTests()].map(outcomeOf);
      const isTold = ofModule.some(({ state }) => state === "failed");
      if (!isTold && !module.ok()) otherFailureCount += 1; // it did not load, or a hook failed after its tests
      outcomes.push(...ofModule);
    }
    process.stdout.write(`\n${closingLines(tallyOf(outcomes, otherFailureCount), this.#notes).join("\n")}\n`);
  }
}

/** Vitest calls a test skipped when the hook before it failed; to us it failed. */
function outcomeOf(test: TestCase): Outcome {
  const result = test.result();
  if (result.state !== "skipped") return { state: result.state };
  return result.note === undefined && hasBroken(test.parent) ? { state: "failed" } : result;
}

function hasBroken(parent: TestSuite | TestModule): boolean {
  return parent.errors().length > 0 || (parent.type === "suite" && hasBroken(parent.parent));
}
