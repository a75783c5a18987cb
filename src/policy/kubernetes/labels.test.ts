import * as fc from "fast-check";
import { expect, test } from "vitest";
import { isReserved, labelValue, selectorOf } from "./labels.ts";

test.each([
  ["a plain word as it is", "hello", "hello"],
  ["dots and dashes inside as they are", "a.b-c_d", "a.b-c_d"],
  ["a slash", "feature/x", /^feature-x\.[0-9a-z]{7}$/],
  ["nothing", "", /^x\.[0-9a-z]{7}$/],
  ["dashes alone", "--", /^x\.[0-9a-z]{7}$/],
  ["a text too long", "x".repeat(100), /^x{55}\.[0-9a-z]{7}$/],
])("labelValue() takes %s", (_, text, expected) => {
  expect(labelValue(text)).toEqual(typeof expected === "string" ? expected : expect.stringMatching(expected));
});

const anyText = fc.string({
  unit: fc.constantFrom("a", "Z", "9", "-", "_", ".", "/", " ", "ä", "\0", "\n", "💥"),
  maxLength: 100,
});

test("labelValue() makes a value that a server takes of any text, and two of two", () => {
  fc.assert(
    fc.property(anyText, anyText, (one, other) => {
      const value = labelValue(one);
      expect(value).toMatch(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/);
      if (one !== other) expect(labelValue(other)).not.toBe(value);
      expect(labelValue(value)).not.toBe(one === value ? "" : value);
    }),
  );
});

test.each(["slipway.dev/target", "slipway.dev", "a.slipway.dev/x"])("isReserved() holds %s for ours", (key) => {
  expect(isReserved(key)).toBe(true);
});

test.each(["app", "example.org/slipway.dev", "notslipway.dev/x", "slipway.devs/x"])(
  "isReserved() leaves %s to others",
  (key) => {
    expect(isReserved(key)).toBe(false);
  },
);

test("selectorOf() finds what is of one installation", () => {
  expect(selectorOf("inst1234")).toBe("slipway.dev/installation=inst1234");
});
