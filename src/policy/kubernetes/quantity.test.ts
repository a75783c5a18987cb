import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readQuantity, writeBytes, writeCpu } from "./quantity.ts";

test.each([
  ["1", 1],
  [2, 2],
  ["250m", 0.25],
  ["1.5Gi", 1.5 * 2 ** 30],
  ["1e3", 1_000],
  ["1E", 1e18],
  ["2E1", 20],
  [".5", 0.5],
  ["100n", 1e-7],
])("readQuantity() reads %j", (text, value) => {
  expect(readQuantity(text)).toBeCloseTo(value, 9);
});

test.each(["", "m", "1 Gi", "-1", "1KB", "abc", Number.NaN, null, {}, "1e999"])(
  "readQuantity() takes %j for none",
  (text) => {
    expect(readQuantity(text)).toBeUndefined();
  },
);

test("writeCpu() and writeBytes() write what readQuantity() reads", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.integer({ min: 1, max: 2 ** 50 }), (thousandths, bytes) => {
      expect(readQuantity(writeCpu(thousandths / 1_000))).toBeCloseTo(thousandths / 1_000, 6);
      expect(readQuantity(writeBytes(bytes))).toBe(bytes);
    }),
  );
});
