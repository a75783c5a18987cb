import { expect, test } from "vitest";

import { closingLines, tallyOf } from "./closing-line.ts";

test("closingLines() ends with the counts alone when nothing was skipped", () => {
  expect(closingLines(tallyOf([{ state: "passed" }, { state: "passed" }]))).toEqual(["2 passed, 0 failed, 0 skipped"]);
});

test("closingLines() says each reason of a skip once, the most frequent first", () => {
  const tally = tallyOf([
    { state: "skipped", note: "needs dbclient" },
    { state: "skipped", note: "needs root" },
    { state: "passed" },
    { state: "skipped", note: "needs root" },
  ]);
  expect(closingLines(tally)).toEqual([
    "skipped 2: needs root",
    "skipped 1: needs dbclient",
    "1 passed, 0 failed, 3 skipped",
  ]);
});

test("closingLines() says what was left out before the counts", () => {
  expect(closingLines(tallyOf([{ state: "passed" }]), ["SKIPPED: clusters"])).toEqual([
    "SKIPPED: clusters",
    "1 passed, 0 failed, 0 skipped",
  ]);
});

test("tallyOf() counts a test that never ended, and failures outside of tests, as failed", () => {
  const tally = tallyOf([{ state: "pending" }, { state: "failed" }, { state: "passed" }], 2);
  expect(closingLines(tally).at(-1)).toBe("1 passed, 4 failed, 0 skipped");
});

test("tallyOf() notices a skip that gave no reason", () => {
  expect(closingLines(tallyOf([{ state: "skipped" }]))).toEqual([
    "skipped 1: no reason given (use ctx.skip with a reason)",
    "0 passed, 0 failed, 1 skipped",
  ]);
});
